"""Fan-out: one event that starts several functions, and one function that sends many events. In `async` tests."""

from __future__ import annotations

from durableq.testing import AsyncTestEnv
from workers import outside


async def test_one_event_starts_both_functions(durableq_env: AsyncTestEnv) -> None:
    await durableq_env.send("team/signed-up", {"owner": "ada", "colleagues": ["grace"]})
    await durableq_env.run_until_idle()
    assert durableq_env.run_of("invite-team").status == "completed"
    assert durableq_env.run_of("welcome").status == "waiting"


async def test_the_tips_come_three_days_after_the_welcome(durableq_env: AsyncTestEnv) -> None:
    await durableq_env.send("team/signed-up", {"owner": "ada", "colleagues": []})
    await durableq_env.advance("71h")
    assert outside.mails_to("ada") == ["Welcome"]
    await durableq_env.advance("1h")
    assert outside.mails_to("ada") == ["Welcome", "Three things to try"]


async def test_each_colleague_has_an_invitation_of_their_own(durableq_env: AsyncTestEnv) -> None:
    people = ["barbara", "edsger", "tony"]
    await durableq_env.send("team/signed-up", {"owner": "alan", "colleagues": people})
    await durableq_env.run_until_idle()
    assert [event.data["who"] for event in durableq_env.events_of("team/invited")] == people
    assert len(durableq_env.runs_of("send-invitation")) == 3
    assert [outside.mails_to(who) for who in people] == [["alan invites you"]] * 3


async def test_a_team_of_one_invites_nobody(durableq_env: AsyncTestEnv) -> None:
    await durableq_env.send("team/signed-up", {"owner": "kurt", "colleagues": []})
    await durableq_env.run_until_idle()
    assert durableq_env.runs_of("invite-team") == []
