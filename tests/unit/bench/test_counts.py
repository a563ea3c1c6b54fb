"""What a task costs is counted over the real handlers, whole and by step."""

from bench.counts import PRODUCER, STREAMER, idle_sweep, low_load, saturated


def test_a_task_at_low_load_keeps_within_its_write_units_and_each_step_has_its_share() -> None:
    counted = low_load(12)
    bare = counted.without_event_log()
    assert 20 <= bare.write_units <= 28
    assert counted.write_units > bare.write_units
    by_step = counted.of(lambda line: line.step)
    assert by_step[PRODUCER].write_units == 0
    assert by_step["agent"].write_units > 0
    assert by_step["intake turn"].write_units > by_step["agent"].write_units
    assert sum(one.write_units for one in by_step.values()) == counted.write_units
    assert STREAMER not in bare.of(lambda line: line.step)


def test_calls_are_those_of_one_task() -> None:
    calls = low_load(12).without_event_log().of(lambda line: f"{line.step}: {line.operation} {line.target}".strip())
    assert calls["producer: PutEvents intake bus"].calls == 1
    assert calls["intake turn: ReceiveMessage intake"].calls == 1
    assert calls["intake turn: TransactWriteItems"].calls == 1
    assert calls["agent: UpdateItem attempt"].calls == 2
    assert calls["agent: SendMessageBatch results"].calls == 1
    assert calls["results turn: TransactWriteItems"].calls == 1


def test_logs_and_metrics_are_counted_in_bytes_at_the_step_that_writes_them() -> None:
    logs = low_load(12).without_event_log().of(lambda line: f"{line.step}: {line.operation}")
    for step in ("intake turn", "agent", "lifecycle"):
        assert 100 < logs[f"{step}: log"].log_bytes < 2_000, step
        assert logs[f"{step}: log"].calls == 0
    assert logs["lifecycle: log"].log_bytes > logs["agent: log"].log_bytes, "it writes the metrics as well"
    assert logs["results turn: log"].log_bytes == 0, "what went well there is routine"


def test_when_slots_are_short_a_task_costs_more_units_and_fewer_calls() -> None:
    low, full = low_load(12).without_event_log(), saturated(40).without_event_log()
    assert full.write_units > low.write_units
    assert full.calls < low.calls


def test_an_idle_sweep_writes_nothing_but_samples() -> None:
    swept = idle_sweep()
    assert swept.write_units <= 1
    assert 0 < swept.calls < 40
