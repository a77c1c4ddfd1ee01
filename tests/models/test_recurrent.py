import pytest
import torch
from torch import nn
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForSequenceClassification

from hf_strategies.models.factory import create_config, create_model
from hf_strategies.models.flops import multiplied_parameters, training_flops_per_token
from hf_strategies.models.isolation import why_texts_meet
from hf_strategies.models.recurrent import RecurrentConfig, RecurrentForCausalLM
from hf_strategies.module_tree.layer_depth import layer_depths
from hf_strategies.optimizers.matrices import matrix_layouts, split

CELLS = ["lstm", "gru"]
GATES = {"lstm": 4, "gru": 3}


def build(cell: str = "lstm", head: str = "causal", num_labels: int = 3, **options):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2}
    config = create_config(cell, vocab_size=40, max_seq_length=8, sizes=sizes, options=options)
    config.num_labels = num_labels
    return create_model(config, head=head).eval()


def draw(rows: int, tokens: int) -> torch.Tensor:
    return torch.randint(1, 40, (rows, tokens), generator=torch.Generator().manual_seed(1))


def step_by_hand(cell: str, layer: nn.Module, x: torch.Tensor, h: torch.Tensor, c: torch.Tensor):
    """One time step, by the formulas in the documentation of torch."""
    into, back = x @ layer.weight_ih_l0.T + layer.bias_ih_l0, h @ layer.weight_hh_l0.T + layer.bias_hh_l0
    if cell == "lstm":
        i, f, g, o = (into + back).chunk(4, dim=-1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c
    (r, z, n), (r2, z2, n2) = into.chunk(3, dim=-1), back.chunk(3, dim=-1)
    z = (z + z2).sigmoid()
    return (1 - z) * (n + (r + r2).sigmoid() * n2).tanh() + z * h, c


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_it_computes_the_recurrence_and_predicts_by_its_embedding(cell):
    model, ids = build(cell), draw(2, 5)
    x = model.get_input_embeddings()(ids)
    for layer in model.model.layers:
        h, c, outputs = torch.zeros(2, 16), torch.zeros(2, 16), []
        for time in range(5):
            h, c = step_by_hand(cell, layer, x[:, time], h, c)
            outputs.append(h)
        x = torch.stack(outputs, dim=1)
    torch.testing.assert_close(model(ids).logits, x @ model.get_input_embeddings().weight.T, rtol=0, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_fresh_gates_remember_without_loss_and_forget_gates_are_open(cell):
    layer = build(cell).model.layers[0]
    for gate in layer.weight_hh_l0.view(-1, 16, 16):
        torch.testing.assert_close(gate @ gate.T, torch.eye(16))
    opened = layer.bias_ih_l0.view(-1, 16).sum(dim=1).tolist()
    assert opened == ([0, 16, 0, 0] if cell == "lstm" else [0, 0, 0])
    assert layer.bias_hh_l0.abs().max() == 0


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_it_goes_on_from_its_state_as_if_it_had_read_the_whole_row(cell):
    model, ids = build(cell), draw(2, 9)
    first = model(ids[:, :4], use_cache=True)
    assert first.state.shape == (2, 2 if cell == "lstm" else 1, 1, 2, 16)
    rest = model(ids[:, 4:], state=first.state)
    torch.testing.assert_close(torch.cat([first.logits, rest.logits], dim=1), model(ids).logits)
    mask = torch.ones_like(ids)
    mask[0, :3] = 0
    state = model(ids[:, :4], attention_mask=mask[:, :4], use_cache=True).state
    shown = model(ids[:, 4:], attention_mask=mask, state=state).logits  # the mask tells of all tokens so far
    torch.testing.assert_close(shown, model(ids, attention_mask=mask).logits[:, 4:])
    assert model(ids, use_cache=False).state is None


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_it_generates_by_its_state_alone_what_it_says_of_the_whole_row(cell, tmp_path):
    build(cell).save_pretrained(tmp_path)
    model, ids = AutoModelForCausalLM.from_pretrained(tmp_path).eval(), draw(2, 4)
    expected = ids
    for _ in range(6):
        expected = torch.cat([expected, model(expected).logits[:, -1:].argmax(-1)], dim=1)
    read = []
    model.model.register_forward_pre_hook(lambda _, inputs: read.append(inputs[0].shape[1]))
    greedy = model.generate(ids, max_new_tokens=6, do_sample=False, pad_token_id=0)
    assert torch.equal(greedy, expected)
    assert read == [4, 1, 1, 1, 1, 1]
    beams = model.generate(ids, max_new_tokens=6, do_sample=False, num_beams=3, pad_token_id=0, use_cache=True)
    whole = model.generate(ids, max_new_tokens=6, do_sample=False, num_beams=3, pad_token_id=0, use_cache=False)
    assert torch.equal(beams, whole)
    padded = torch.cat([torch.zeros(2, 3, dtype=torch.long), ids], dim=1)
    mask = (padded > 0).long()
    shown = model.generate(padded, attention_mask=mask, max_new_tokens=6, do_sample=False, pad_token_id=0)
    assert torch.equal(shown[:, 3:], expected)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("head", ["sequence-classification", "token-classification"])
@torch.no_grad()
def test_padding_on_either_side_changes_nothing(cell, head):
    model, short, long = build(cell, head), draw(1, 3), draw(1, 6)
    assert model.config.bidirectional
    alone = model(short).logits
    for left in (0, 3):
        rows = torch.cat([nn.functional.pad(short, (left, 3 - left)), long])
        mask = torch.ones_like(rows)
        mask[0] = nn.functional.pad(torch.ones(3), (left, 3 - left))
        together = model(rows, attention_mask=mask).logits
        shown = together[:1, left : left + 3] if head == "token-classification" else together[:1]
        torch.testing.assert_close(shown, alone)
        torch.testing.assert_close(together[1:], model(long).logits)


@torch.no_grad()
def test_a_row_is_classified_by_how_both_ways_end_its_mean_and_its_maximum():
    model, ids = build(head="sequence-classification"), draw(2, 5)
    states = model.model(ids).last_hidden_state
    last = torch.cat([states[:, -1, :8], states[:, 0, 8:]], dim=1)
    pooled = torch.cat([last, states.mean(dim=1), states.max(dim=1).values], dim=1)
    torch.testing.assert_close(model(ids).logits, model.score(pooled))


def test_a_language_model_cannot_read_ahead_and_its_body_serves_a_classifier_as_it_is(tmp_path):
    with pytest.raises(ValueError, match="bidirectional must be false"):
        RecurrentForCausalLM(RecurrentConfig(bidirectional=True))
    trained = build()
    trained.save_pretrained(tmp_path)
    classifier = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=2)
    assert classifier.config.bidirectional is False
    for ours, theirs in zip(trained.model.parameters(), classifier.model.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert type(AutoModel.from_pretrained(tmp_path)).__name__ == "RecurrentModel"


def test_what_is_dropped_out_is_drawn_anew_for_each_layer_and_padding_stays_zero():
    model = build(head="token-classification", dropout=0.5).train()
    rows, mask = draw(2, 6), torch.tensor([[1, 1, 1, 0, 0, 0], [1] * 6])
    states = model.model(rows, attention_mask=mask).last_hidden_state
    assert states[0, 3:].abs().max() == 0
    assert 0.3 < (states[1] == 0).float().mean() < 0.7


@pytest.mark.parametrize("cell", CELLS)
def test_each_gate_is_a_matrix_and_each_layer_a_block(cell):
    model = build(cell)
    layouts = {name: matrix_layouts(model).get(param) for name, param in model.named_parameters()}
    cut = {name: layout["parts"] for name, layout in layouts.items() if layout}
    names = [f"model.layers.{layer}.weight_{way}_l0" for layer in (0, 1) for way in ("ih", "hh")]
    assert cut == dict.fromkeys(names, [16] * GATES[cell])
    assert [part.shape for part in split(model.model.layers[0].weight_hh_l0, layouts[names[1]])] == (
        [(1, 16, 16)] * GATES[cell]
    )
    depths, top = layer_depths(model, needed_by="a test", instead="")
    assert top == 3
    assert {depths[param] for param in model.model.layers[1].parameters()} == {2}


def test_a_tokens_operations_do_not_depend_on_the_length_of_a_row():
    model = build()
    # Embedding, tied: 40 x 16; a layer: 4 gates of 16 x 16 from the input and from the state, and two biases each.
    count = 40 * 16 + 2 * 4 * (2 * 16 * 16 + 2 * 16)
    assert multiplied_parameters(model) == count
    assert [training_flops_per_token(model.config, count, length) for length in (8, 512)] == [6 * count] * 2


def test_documents_of_one_row_share_its_state():
    assert why_texts_meet(build(), rows=2) == "RecurrentForCausalLM takes no position_ids, which tell them apart"
