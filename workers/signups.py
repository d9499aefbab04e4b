"""Fan-out, both ways: one event that starts several functions, and one function that sends many events.

`team/signed-up` starts `welcome` and `invite-team`; each is a run of its own, and one that fails does not hold up the
other. `invite-team` sends an event for each colleague, so that each invitation has a run too.
"""

import durableq as dq
from workers import outside
from workers.app import app


@app.function("welcome", triggers=[dq.EventTrigger("team/signed-up")])
async def welcome(ctx: dq.Context) -> int:
    """A mail now, another in three days: the run sleeps in Redis meanwhile and outlives every deploy."""
    owner = ctx.event.data["owner"]
    await ctx.step.run("greet", outside.send_mail, f"greet-{ctx.run_id}", owner, "Welcome")
    await ctx.step.sleep("first-days", "3d")
    await ctx.step.run("tips", outside.send_mail, f"tips-{ctx.run_id}", owner, "Three things to try")
    return 2


@app.function("invite-team", triggers=[dq.EventTrigger("team/signed-up", if_="size(event.data.colleagues) > 0")])
async def invite_team(ctx: dq.Context) -> list[str]:
    """One event per colleague, in one step. The step's events have the same ids at every attempt: none is sent twice."""
    data = ctx.event.data
    invitations = [dq.Event("team/invited", {"who": who, "by": data["owner"]}) for who in data["colleagues"]]
    return await ctx.step.send_event("invite", invitations)


@app.function("send-invitation", triggers=[dq.EventTrigger("team/invited")])
async def send_invitation(ctx: dq.Context) -> None:
    """The run of one colleague."""
    who, by = ctx.event.data["who"], ctx.event.data["by"]
    await ctx.step.run("mail", outside.send_mail, f"invitation-{ctx.run_id}", who, f"{by} invites you")
