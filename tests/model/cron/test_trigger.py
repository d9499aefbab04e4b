"""CronTrigger: what may be declared, what is refused and how, and what identifies a trigger."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st

from durableq import App, ConfigError, Context, CronTrigger, EventTrigger
from durableq.model.cron import crons_of
from tests.fuzz import fuzz, prompt
from tests.model.cron.strategies import near_misses


@pytest.mark.parametrize(
    ("cron", "says"),
    [
        ("", "1 to 256 characters"),
        ("* " * 200, "1 to 256 characters, not 400"),
        (7, "must be a string"),
        (None, "must be a string"),
        ("* * * *", r"5 fields \(minute, hour, day of month, month, day of week\), not 4"),
        ("0 0 9 * * *", "6 fields, and there are no seconds"),
        ("60 * * * *", "minute '60': it takes 0 to 59"),
        ("0 24 * * *", "hour '24': it takes 0 to 23"),
        ("0 0 0 * *", "day of month '0': it takes 1 to 31"),
        ("0 0 1 13 *", "month '13': it takes 1 to 12"),
        ("0 0 * * 8", "day of week '8': it takes 0 to 7"),
        ("5-5 * * * *", "two different ends: write '5'"),
        ("0 0 1 JAN-JAN *", "two different ends: write 'JAN'"),
        ("0 0 * * SUN-SUN", "two different ends"),
        ("0 22-2 * * *", "write two, such as '22-23,0-2'"),
        ("5/15 * * * *", "write '5-59/15'"),
        ("*/90 * * * *", "a step here is 1 to 59"),
        ("*/0 * * * *", "a step here is 1 to 59"),
        ("0 1-3/5 * * *", "a step here is 1 to 2"),
        ("*,5 * * * *", "leave the others out"),
        ("1,,2 * * * *", "minute ''"),
        ("-1 * * * *", "minute '-1'"),
        ("1.5 * * * *", "minute '1.5'"),
        ("MON * * * *", "it takes numbers only"),
        ("0 0 * FEB-MON *", "names are JAN"),
        ("0 0 * * MONDAY", "names have three letters: SUN, MON"),
        ("R * * * *", "jitter="),
        ("H H * * *", "jitter="),
        ("R(0-30) 0 * * *", "jitter="),
        ("0 0 ? * *", "write '\\*'"),
        ("0 0 * * 1#1", "nth weekday"),
        ("0 0 * * 5L", "last day"),
        ("0 0 15W * *", "nearest working day"),
        ("0 0 31 2 *", "no such date ever comes"),
        ("0 0 30,31 2 */2", "no such date ever comes"),
        ("0 0 31 4,6,9,11 *", "no such date ever comes"),
        ("@reboot", "nicknames are @yearly"),
        ("@every 5m", r"write a step, such as '\*/5 \* \* \* \*'"),
        ("٣ * * * *", "plain ASCII"),
        ("0\x00 * * * *", "plain ASCII"),
        ("TZ=Mars/Olympus 0 9 * * *", "timezone 'Mars/Olympus' is not known"),
        ("TZ= 0 9 * * *", "timezone '' is not known"),
        ("TZ=Europe/Paris", "1 to 256 characters"),
    ],
)
def test_a_bad_expression_is_refused_with_the_field_the_rule_and_the_value(cron: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        CronTrigger(cron)
    assert str(refused.value).startswith("CronTrigger ")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"timezone": "Europe/Pariss"}, "timezone 'Europe/Pariss' is not known: 'Europe/Paris' would do"),
        ({"timezone": "../../etc/passwd"}, "is not known"),
        ({"timezone": "localtime"}, "is not known"),
        ({"timezone": "Europe"}, "is not known"),
        ({"timezone": "posix/Europe/Paris"}, "is not known"),
        ({"timezone": "x" * 10_000}, "is not known"),
        ({"timezone": 1}, "must be a name"),
        ({"timezone": None}, "must be a name"),
        ({"jitter": "1d"}, "jitter must be less than the 1d between two ticks of '0 9 \\* \\* \\*', not '1d'"),
        ({"jitter": -1}, "jitter must be 0 or more"),
        ({"jitter": "soon"}, "jitter 'soon' is not a duration"),
        ({"jitter": True}, "jitter must be a duration"),
        ({"jitter": float("nan")}, "jitter must be finite"),
        ({"catch_up": "some"}, "catch_up must be one of 'none', 'latest', 'all', not 'some'"),
        ({"catch_up": True}, "catch_up must be one of"),
        ({"overlap": "wait"}, "overlap must be one of 'allow', 'skip', not 'wait'"),
        ({"catch_up": "all", "overlap": "skip"}, "do not go together"),
    ],
)
def test_a_bad_option_is_refused_with_the_option_the_rule_and_the_value(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        CronTrigger("0 9 * * *", **options)


def test_a_zone_is_said_once() -> None:
    with pytest.raises(ConfigError, match="say it once"):
        CronTrigger("TZ=Asia/Tokyo 0 9 * * *", timezone="Asia/Tokyo")


@pytest.mark.parametrize(
    ("cron", "gap"), [("* * * * *", "1m"), ("*/15 * * * *", "15m"), ("0,20,50 * * * *", "10m"), ("0 9,17 * * *", "8h")]
)
def test_jitter_is_shorter_than_the_gap_between_two_ticks(cron: str, gap: str) -> None:
    with pytest.raises(ConfigError, match=f"less than the {gap} between two ticks"):
        CronTrigger(cron, jitter=gap)
    milliseconds = {"1m": 60_000, "15m": 900_000, "10m": 600_000, "8h": 28_800_000}[gap] - 1
    assert CronTrigger(cron, jitter=timedelta(milliseconds=milliseconds)).jitter_ms == milliseconds


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0 9 * * 1-5", "  0   9 * * mon-fri "),
        ("@daily", "0 0 * * *"),
        ("@weekly", "0 0 * * 7"),
        ("0 9 * * 0", "0 9 * * SUN"),
        ("0 9 * * 5-7", "0 9 * * FRI-SUN"),
        ("*/20 * * * *", "0,20,40 * * * *"),
        ("0 0 1-31 * 1", "0 0 * * *"),
    ],
)
def test_ways_of_writing_the_same_are_one_trigger(one: str, other: str) -> None:
    assert CronTrigger(one).key == CronTrigger(other, jitter=1, catch_up="none", overlap="skip").key


def test_another_time_or_zone_is_another_trigger() -> None:
    keys = {
        CronTrigger(cron, timezone=zone).key
        for cron in ("0 9 * * *", "0 9 1 * 1", "0 9 */1 * 1", "0 9 L * *", "0 9 */2 * */2", "0 9 1-31/2 * 0,2,4,6")
        for zone in ("UTC", "Europe/Paris", "Europe/Berlin")
    }
    assert len(keys) == 18


def test_a_prefix_says_the_zone_and_is_no_part_of_the_expression() -> None:
    for prefix in ("TZ", "CRON_TZ"):
        trigger = CronTrigger(f"{prefix}=Asia/Tokyo 0 9 * * *")
        assert (trigger.cron, trigger.timezone) == ("0 9 * * *", "Asia/Tokyo")
        assert trigger == CronTrigger("0 9 * * *", timezone="Asia/Tokyo")


def test_a_trigger_survives_the_registry_and_the_schedule() -> None:
    trigger = CronTrigger("0 9 * * 1-5", timezone="Europe/Paris", jitter="30s", catch_up="none", overlap="skip")
    assert CronTrigger.from_map(trigger.to_map()) == trigger
    app = App("shop")

    @app.function("f", triggers=[EventTrigger("x/y"), trigger])
    async def handler(ctx: Context) -> None: ...

    crons = crons_of({"f": handler.declaration()})
    assert list(crons) == [f"f {trigger.key}"]
    assert CronTrigger.from_spec(crons[f"f {trigger.key}"]) == trigger


@pytest.mark.parametrize("spec", [b"", b"junk", b"\x01\xc0", b"\x01\x80", b"\x01\x81\xa4cron\x01"])
def test_what_another_release_declares_is_a_config_error(spec: bytes) -> None:
    with pytest.raises(ConfigError):
        CronTrigger.from_spec(spec)


@pytest.mark.parametrize(
    ("triggers", "says"),
    [
        ([CronTrigger("@daily"), CronTrigger("0 0 * * *", jitter=5)], "two triggers have the same times"),
        ([CronTrigger("@daily"), CronTrigger("@daily")], "the same trigger stands twice"),
        (["0 9 * * *"], r"no CronTrigger: write CronTrigger\('0 9"),
        (["@daily"], "no CronTrigger"),
    ],
)
def test_triggers_that_do_not_go_together_are_refused(triggers: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        App("shop").function("f", triggers=triggers)


def test_several_crons_and_events_may_start_one_function() -> None:
    App("shop").function("f", triggers=CronTrigger("@daily"))
    App("shop").function("f", triggers=[CronTrigger("@daily"), CronTrigger("@hourly"), EventTrigger("a/b")])


@fuzz(near_misses(), st.sampled_from(["", "Europe/Paris", "Nowhere"]), st.sampled_from([0, "30s", "x"]))
def test_any_text_is_taken_or_refused_with_a_config_error_and_at_once(cron: str, zone: str, jitter: Any) -> None:
    with prompt():
        try:
            trigger = CronTrigger(cron, timezone=zone, jitter=jitter)
        except ConfigError:
            return
        trigger.schedule().next_after(1_772_323_230_000)
