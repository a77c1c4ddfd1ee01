from hf_strategies.reports.run_record import RunRecord

SETTINGS = [
    ("model", "hidden_size", 256, "default"),
    ("strategy", "optimizer", "muon", "recipe.yaml:3"),
    ("training", "learning_rate", 0.004, "--learning_rate"),
    ("training", "hub_token", "hf_x", "--hub_token"),
]


def test_no_secret_ever_enters_a_record():
    record = RunRecord(title="t", location="runs/a", settings=SETTINGS, command=["a.py", "--hub_token", "hf_x"])
    assert "hf_x" not in repr(record)


def test_settings_of_the_command_line_come_first_and_defaults_apart():
    record = RunRecord(title="t", location="runs/a", settings=SETTINGS)
    assert [row.name for row in record.chosen_settings] == ["learning_rate", "hub_token", "optimizer"]
    assert [row.name for row in record.default_settings] == ["hidden_size"]


def test_the_command_can_be_pasted_into_a_shell():
    record = RunRecord(title="t", location="runs/a", command=["a.py", "--train_file", "my data/$x.txt"])
    assert record.command_line == "a.py --train_file 'my data/$x.txt'"


def test_samples_are_the_first_and_the_last_taken():
    said = [{"prompt": "a", "completion": "b"}]
    taken = [{"event": "samples", "step": step, "samples": said} for step in (0, 100, 200)]
    steps = [
        [event["step"] for event in RunRecord(title="t", location="x", events=taken[:count]).samples]
        for count in range(4)
    ]
    assert steps == [[], [0], [0, 100], [0, 200]]


def test_an_event_without_samples_is_none():
    record = RunRecord(title="t", location="x", events=[{"event": "samples", "step": 0, "samples": []}])
    assert record.samples == []
