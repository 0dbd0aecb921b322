"""The learning loop: every transition, exactness of its state, and what it ignores."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gammaray.learning.drift import DriftConfig
from gammaray.learning.loop import LearningLoop, LoopConfig, Phase
from gammaray.learning.messages import (
    ChallengerRequested,
    Command,
    Deploy,
    Event,
    FeaturesObserved,
    OutcomeKnown,
    PredictionMade,
    Promote,
    Reject,
    ReportDrift,
    RetrainingFailed,
    RetrainingFinished,
    RetrainRequested,
    RollBack,
    StartRetraining,
)
from gammaray.learning.promotion import PromotionConfig
from gammaray.learning.retrain import RetrainResult, RetrainStatus
from gammaray.models.serving import Role, RolePrediction
from gammaray.operations.errors import BadInput

NAMES = ("a", "b", "c")
CONFIG = LoopConfig(
    drift=DriftConfig(window=10, reference=100, quiet_after=5),
    promotion=PromotionConfig(alpha=0.05, min_samples=6, max_samples=20),
    shadow_pairs=3,
    traffic_percentage=25.0,
    cool_down=8,
    max_jobs=2,
    budget_window=50,
    watch_pairs=15,
    seed=4,
)
OUTCOME = (0.2, 0.0)


class Market:
    """Sends a session at a time: each version's error of log volatility is given, and its forecast made to have it."""

    def __init__(self, config: LoopConfig = CONFIG) -> None:
        generator = np.random.default_rng(0)
        self.loop = LearningLoop(config)
        self.loop.add_model(
            "m", "1", NAMES, generator.normal(size=(120, 3)), tuple(np.abs(generator.normal(0.2, 0.1, 60)))
        )
        self.day = 0

    def session(self, **errors: float) -> list[Command]:
        """One prediction with `errors` (v1=0.3 means version 1 is 0.3 off in log volatility) and its outcome."""
        self.day += 1
        # The loss weighs the log error with one half, hence the two.
        forecasts = tuple(
            RolePrediction(name[1:], Role.SHADOW, OUTCOME[0] * float(np.exp(2.0 * error)), 0.0)
            for name, error in errors.items()
        )
        made, known = self.day * 10, self.day * 10 + 10
        out = self.loop.handle(PredictionMade("m", made, known, f"r{self.day}", forecasts))
        return out + self.loop.handle(OutcomeKnown("m", known, known, *OUTCOME))

    def drift(self) -> StartRetraining:
        """Large errors of the champion until a retraining starts."""
        for _ in range(20):
            for command in self.session(v1=1.5):
                if isinstance(command, StartRetraining):
                    return command
        raise AssertionError("no retraining was started")

    def finish(self, job_id: str, version: str = "2") -> list[Command]:
        return self.loop.handle(RetrainingFinished("m", self.day * 10 + 11, registered(job_id, version)))

    @property
    def phase(self) -> str:
        return str(self.loop.status("m")["phase"])


def registered(job_id: str, version: str) -> RetrainResult:
    return RetrainResult(
        job_id, "m", RetrainStatus.REGISTERED, version, "gate passed", {}, (0.2, 0.3) * 15, (0.05, -0.05) * 10
    )


def test_quiet_market_does_nothing() -> None:
    market = Market()
    assert [market.session(v1=0.2) for _ in range(60)] == [[]] * 60
    assert market.phase == Phase.SERVING


def test_drift_starts_one_retraining_with_its_evidence() -> None:
    market = Market()
    start = market.drift()
    assert (start.job_id, start.champion_version) == ("retrain-m-0001", "1")
    assert start.data_until_ns == start.ts_ns == market.day * 10 + 10
    assert start.evidence["drift"][0]["detector"] == "page_hinkley"
    json.dumps(start.evidence)
    # While it runs, drift is reported and starts nothing.
    later = [command for _ in range(30) for command in market.session(v1=1.5)]
    assert any(isinstance(command, ReportDrift) for command in later)
    assert not any(isinstance(command, StartRetraining) for command in later)
    assert market.phase == Phase.RETRAINING


def test_better_challenger_goes_shadow_traffic_champion() -> None:
    market = Market()
    start = market.drift()
    (deploy,) = market.finish(start.job_id)
    assert deploy == Deploy("m", market.day * 10 + 11, "1", None, 0.0, ("2",))
    assert market.phase == Phase.SHADOW
    commands: list[Command] = []
    phases = []
    while not any(isinstance(c, Promote) for c in commands):
        commands += [c for c in market.session(v1=1.0, v2=0.2) if not isinstance(c, ReportDrift)]
        phases.append(market.phase)
    traffic, promote, final = commands
    assert isinstance(traffic, Deploy)
    assert (traffic.challenger, traffic.traffic_percentage, traffic.shadows) == ("2", 25.0, ())
    assert phases[:3] == [Phase.SHADOW, Phase.SHADOW, Phase.TRAFFIC]
    assert isinstance(promote, Promote)
    assert (promote.version, promote.former) == ("2", "1")
    assert promote.evidence["e_value_better"] >= 20.0
    # The former champion stays as a shadow, to be compared with.
    assert final == Deploy("m", promote.ts_ns, "2", None, 0.0, ("1",))
    assert market.phase == Phase.SERVING


def test_worse_challenger_never_gets_traffic_and_is_rejected() -> None:
    market = Market()
    market.finish(market.drift().job_id)
    commands: list[Command] = []
    for _ in range(20):
        commands += [c for c in market.session(v1=0.2, v2=1.0) if not isinstance(c, ReportDrift)]
        if commands:
            break
    reject, deploy = commands
    assert isinstance(reject, Reject)
    assert reject.evidence["inconclusive"] is False
    assert deploy == Deploy("m", reject.ts_ns, "1", None, 0.0, ())


def test_undecided_challenger_is_rejected_as_inconclusive() -> None:
    market = Market()
    market.finish(market.drift().job_id)
    rejects = [
        command
        for i in range(20)
        for command in market.session(v1=0.3, v2=0.3 + 0.01 * (-1) ** i)
        if isinstance(command, Reject)
    ]
    assert [(r.version, r.evidence["inconclusive"], r.evidence["pairs"]) for r in rejects] == [("2", True, 20)]


def promoted() -> Market:
    market = Market()
    market.finish(market.drift().job_id)
    while market.loop.status("m")["champion"] == "1":
        market.session(v1=1.0, v2=0.2)
    return market


def test_regression_after_promotion_rolls_back() -> None:
    market = promoted()
    commands: list[Command] = []
    for _ in range(15):
        commands += market.session(v2=1.2, v1=0.2)
        if any(isinstance(c, RollBack) for c in commands):
            break
    back, deploy = [c for c in commands if isinstance(c, RollBack | Deploy)]
    assert isinstance(back, RollBack)
    assert (back.version, back.removed) == ("1", "2")
    assert back.evidence["e_value_better"] >= 20.0
    assert deploy == Deploy("m", back.ts_ns, "1", None, 0.0, ())


def test_a_rollback_during_a_retraining_drops_its_result_and_starts_no_second_one() -> None:
    market = promoted()
    (start,) = market.loop.handle(RetrainRequested("m", market.day * 10 + 11, "operator"))
    assert isinstance(start, StartRetraining)
    commands = [c for _ in range(12) for c in market.session(v2=1.2, v1=0.2)]
    assert any(isinstance(c, RollBack) for c in commands)
    assert not any(isinstance(c, StartRetraining) for c in commands)
    assert market.phase == Phase.RETRAINING
    assert market.finish(start.job_id, "3") == []
    assert (market.phase, market.loop.status("m")["champion"]) == (Phase.SERVING, "1")


def test_a_good_champion_sheds_the_former_one() -> None:
    market = promoted()
    commands = [c for _ in range(15) for c in market.session(v2=0.2, v1=1.0) if isinstance(c, Deploy | RollBack)]
    assert [(c.shadows if isinstance(c, Deploy) else None) for c in commands] == [()]
    assert market.loop.status("m")["champion"] == "2"


@pytest.mark.parametrize("how", ["failed", "worse"])
def test_a_job_without_a_version_changes_nothing_and_cools_down(how: str) -> None:
    market = Market()
    start = market.drift()
    if how == "failed":
        event: Event = RetrainingFailed("m", 1, start.job_id, "killed")
    else:
        event = RetrainingFinished("m", 1, RetrainResult(start.job_id, "m", RetrainStatus.WORSE, None, "worse"))
    assert market.loop.handle(event) == []
    assert (market.phase, market.loop.status("m")["champion"]) == (Phase.SERVING, "1")
    quiet = [c for _ in range(CONFIG.cool_down - 1) for c in market.session(v1=1.5)]
    assert not any(isinstance(c, StartRetraining) for c in quiet)
    again = market.drift()
    assert again.job_id == "retrain-m-0002"
    assert again.seed != start.seed


def test_budget_bounds_the_jobs() -> None:
    market = Market(replace(CONFIG, cool_down=0))
    starts = []
    for _ in range(49):
        for command in market.session(v1=1.5):
            if isinstance(command, StartRetraining):
                starts.append(command.job_id)
                market.loop.handle(RetrainingFailed("m", 1, command.job_id, "killed"))
    assert starts == ["retrain-m-0001", "retrain-m-0002"]
    # 50 outcomes after the first start there is room again.
    later = [c for _ in range(30) for c in market.session(v1=1.5) if isinstance(c, StartRetraining)]
    assert later


def test_late_and_repeated_events_change_nothing() -> None:
    market = Market()
    market.session(v1=0.2)
    before = market.loop.state()
    assert market.loop.handle(OutcomeKnown("m", 20, 20, *OUTCOME)) == []
    assert market.loop.handle(OutcomeKnown("m", 20, 999, *OUTCOME)) == []
    assert market.finish("retrain-m-0001") == []
    assert market.loop.handle(RetrainingFailed("m", 1, "other", "x")) == []
    assert market.loop.state() == before
    prediction = PredictionMade("m", 30, 40, "r", (RolePrediction("1", Role.CHAMPION, 0.2, 0.0),))
    market.loop.handle(prediction)
    once = market.loop.state()
    market.loop.handle(prediction)
    assert market.loop.state() == once


def test_asked_by_hand() -> None:
    market = Market()
    (start,) = market.loop.handle(RetrainRequested("m", 5, "operator"))
    assert isinstance(start, StartRetraining)
    assert start.evidence == {"requested": "operator"}
    with pytest.raises(BadInput, match="m is retraining: one retraining or challenger at a time"):
        market.loop.handle(RetrainRequested("m", 6, "operator"))
    market.loop.handle(RetrainingFailed("m", 7, start.job_id, "killed"))
    (deploy,) = market.loop.handle(ChallengerRequested("m", 8, "7", 10.0))
    assert deploy == Deploy("m", 8, "1", "7", 10.0, ())
    (deploy,) = market.loop.handle(ChallengerRequested("m", 9, "7", 0.0))
    assert deploy == Deploy("m", 9, "1", None, 0.0, ("7",))
    for version, percentage, message in (
        ("8", 10.0, "version: 7 is on trial"),
        ("1", 10.0, "version: 1 is the champion"),
        ("7", 101.0, "traffic_percentage: must be 0 to 100"),
    ):
        with pytest.raises(BadInput, match=message):
            market.loop.handle(ChallengerRequested("m", 10, version, percentage))


def test_unknown_models_are_refused() -> None:
    market = Market()
    with pytest.raises(BadInput, match="model: unknown 'x'; known: m"):
        market.loop.handle(OutcomeKnown("x", 1, 1, *OUTCOME))
    with pytest.raises(BadInput, match="model: 'm' is known already"):
        market.loop.add_model("m", "1", NAMES, np.zeros((40, 3)), (0.1,) * 20)


sessions = st.lists(
    st.tuples(
        st.floats(0.0, 2.0),  # error of version 1
        st.floats(0.0, 2.0),  # of version 2 and later ones
        st.sampled_from(["nothing", "finish", "fail", "ask", "hand 1", "hand 3"]),
        st.floats(-3.0, 3.0),  # a feature
    ),
    min_size=1,
    max_size=60,
)


def events_of(day: int, first: float, others: float, extra: str, feature: float, loop: LearningLoop) -> list[Event]:
    """One session's events; jobs end by their ids, whether or not they run."""
    made, known = day * 10, day * 10 + 10
    predictions = tuple(
        RolePrediction(version, Role.SHADOW, 0.2 * float(np.exp(2 * error)), 0.01)
        for version, error in (("1", first), ("2", others), ("3", others))
    )
    events: list[Event] = [
        PredictionMade("m", made, known, f"r{day}", predictions),
        FeaturesObserved("m", made, (feature, -feature, 0.5 * feature)),
        OutcomeKnown("m", known, known, *OUTCOME),
    ]
    jobs = int(loop.status("m")["jobs_started"])
    if extra == "finish":
        events.append(RetrainingFinished("m", known, registered(f"retrain-m-{jobs:04d}", "2")))
    elif extra == "fail":
        events.append(RetrainingFailed("m", known, f"retrain-m-{jobs:04d}", "killed"))
    elif extra == "ask":
        events.append(RetrainRequested("m", known, "test"))
    elif extra.startswith("hand"):
        events.append(ChallengerRequested("m", known, extra[-1], 50.0))
    return events


def feed(loop: LearningLoop, event: Event) -> list[Command] | str:
    try:
        return loop.handle(event)
    except BadInput as error:
        return str(error)


@settings(deadline=None, max_examples=40)
@given(sessions=sessions, cut=st.integers(0, 60))
def test_any_run_keeps_the_invariants_and_survives_a_restart_anywhere(
    sessions: list[tuple[float, float, str, float]], cut: int
) -> None:
    loop, running = Market().loop, 0
    other = loop
    for day, session in enumerate(sessions):
        if day == cut:
            other = LearningLoop.restore(CONFIG, json.loads(json.dumps(loop.state())))
        for event in events_of(day, *session, loop):
            commands = feed(loop, event)
            if other is not loop:
                assert feed(other, event) == commands
            if isinstance(event, RetrainingFinished | RetrainingFailed):
                running = 0
            for command in commands if isinstance(commands, list) else []:
                if isinstance(command, StartRetraining):
                    running += 1
                    assert running == 1
                    assert loop.status("m")["phase"] == Phase.RETRAINING
                if isinstance(command, Deploy):
                    served = [command.champion, *([command.challenger] if command.challenger else []), *command.shadows]
                    assert len(set(served)) == len(served)
                    assert (command.traffic_percentage > 0) <= (command.challenger is not None)
            status = loop.status("m")
            assert (status["phase"] == Phase.RETRAINING) == (status["job_id"] is not None)
            assert (status["phase"] in (Phase.SHADOW, Phase.TRAFFIC)) == (status["challenger"] is not None)
            assert status["challenger"] != status["champion"]
    assert other.state() == loop.state()
