from hf_strategies.reports.group_lines import GROUP_HEADERS, group_lines
from hf_strategies.reports.terminal import MAX_WIDTH, format_table


def row(
    group: str, *, lr: float, tensors: int = 1, parameters: int = 10, decay: float = 0.1, optimizer="muon"
) -> dict:
    counts = {"tensors": tensors, "parameters": parameters}
    return {"group": group, **counts, "lr": lr, "weight_decay": decay, "optimizer": optimizer}


def test_groups_of_blocks_share_a_line_with_the_range_of_their_rates():
    blocks = [row(f"block {number} matrices", lr=0.5 ** (12 - number), tensors=7) for number in range(12)]
    vectors = [row(f"block {number} vectors", lr=1e-3, decay=0.0, optimizer="adamw") for number in range(12)]
    rows = [blocks[11], row("input embeddings", lr=2e-4, parameters=4096), *blocks[:11], *vectors]
    assert group_lines(rows) == [
        ("blocks 0-11 matrices", "84", "120", "0.0002441 to 0.5", "0.1", "muon"),
        ("input embeddings", "1", "4,096", "0.0002", "0.1", "muon"),
        ("blocks 0-11 vectors", "12", "120", "0.001", "0", "adamw"),
    ]


def test_what_differs_in_more_than_its_block_keeps_its_line():
    rows = [
        row("block 0 weights", lr=0.1),
        row("block 2 weights", lr=0.3),
        row("block 1 weights", lr=0.2, decay=0.5),
        row("block 1 weights matching norm", lr=0.2),
    ]
    assert [line[0] for line in group_lines(rows)] == [
        "blocks 0, 2 weights",
        "block 1 weights",
        "block 1 weights matching norm",
    ]


def test_the_table_of_a_deep_model_fits_a_terminal():
    pattern = r"model\.layers\.\d+\.(self_attn|mlp)\.(q|k|v|o|gate|up|down)_proj"
    rows = [row(f"block {n} matrices matching {pattern}", lr=0.9 ** (96 - n), parameters=10**9) for n in range(96)]
    table = format_table(group_lines(rows), GROUP_HEADERS).splitlines()
    assert len(table) == 3
    assert max(map(len, table)) <= MAX_WIDTH
    assert "96,000,000,000" in table[2]
