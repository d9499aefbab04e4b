"""Fan-out: one event that starts several functions, and one function that sends many events."""

from __future__ import annotations

import pytest

from tests.workers.conftest import Shop
from workers import outside

pytestmark = pytest.mark.acceptance

DAY_MS = 86_400_000


def test_one_event_starts_both_functions(shop: Shop) -> None:
    signed_up = shop.send("team/signed-up", {"owner": "ada", "colleagues": ["grace"]})
    assert len(shop.run("invite-team", signed_up).result) == 1
    waiting = shop.run("welcome", signed_up, "waiting")
    assert outside.mails_to("ada") == ["Welcome"]
    assert waiting.steps[-1].status == "sleeping"
    assert waiting.steps[-1].due_at_ms - waiting.steps[-1].started_at_ms == 3 * DAY_MS


def test_each_colleague_has_an_invitation_of_their_own(shop: Shop) -> None:
    people = ["barbara", "edsger", "tony"]
    invited = shop.run("invite-team", shop.send("team/signed-up", {"owner": "alan", "colleagues": people}))
    runs = [shop.run("send-invitation", event_id) for event_id in invited.result]
    assert len({run.id for run in runs}) == 3
    assert [outside.mails_to(who) for who in people] == [["alan invites you"]] * 3


def test_a_team_of_one_invites_nobody(shop: Shop) -> None:
    alone = shop.send("team/signed-up", {"owner": "kurt", "colleagues": []})
    shop.run("welcome", alone, "waiting")
    assert alone not in [run.event.id for run in shop.runs("invite-team") if run.event]
