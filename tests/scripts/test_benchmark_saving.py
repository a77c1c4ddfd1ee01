from scripts.benchmarks.saving import run


def test_only_a_proven_checkpoint_costs_time_for_its_proof():
    plain, ours = run(num_saves=2, num_pairs=1, hidden_size=32, num_hidden_layers=1)
    assert plain["proof_ms"] == 0
    assert 0 < ours["proof_ms"] < ours["save_ms"]
    assert 1 < ours["checkpoint_mb"] / plain["checkpoint_mb"] < 1.1
