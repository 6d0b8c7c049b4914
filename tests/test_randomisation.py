"""The cascade: what is randomised when, and that everything is put back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from auditor.cam import inspected
from auditor.cam.randomisation import STAGES, randomisable, stages_of
from auditor.errors import ModelError
from auditor.models.operators import torchvision
from tests.conftest import seeded


class Backwards(nn.Module):
    """Lists its modules in an order in which they do not run, and has tokens of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
        self.shift = nn.Parameter(torch.randn(1, 4, 1, 1))
        self.counter = nn.Parameter(torch.tensor([3]), requires_grad=False)

    def forward(self, images: Tensor) -> Tensor:
        return self.head((self.body(images) + self.shift).mean((2, 3)))


@pytest.fixture
def network() -> nn.Module:
    with seeded():
        made = Backwards()
        nn.init.uniform_(made.body[1].running_mean)
        nn.init.uniform_(made.body[1].running_var)
    return made


def stages(module: nn.Module, size: int = 64, most: int = STAGES) -> tuple[tuple[str, ...], ...]:
    with inspected(module):
        return stages_of(module, torch.zeros(1, 3, size, size), most)


def held(module: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in module.state_dict().items()}


def changed(module: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, t in module.state_dict().items() if not torch.equal(t, before[name])}


def test_stages_go_by_when_modules_run(network):
    # The parts around the others begin first, and so come last.
    assert stages(network) == (("head",), ("body.1",), ("body.0",), ("",))
    assert stages(network, most=3) == (("head",), ("body.1", "body.0"), ("",))
    assert stages(network, most=1) == (("head",),)
    with pytest.raises(ValueError, match="0 stages"):
        stages(network, most=0)


@pytest.mark.parametrize(
    ("architecture", "head"),
    [
        ("resnet18", "fc"),
        ("vgg11", "classifier.6"),
        ("mobilenet_v2", "classifier.1"),
        ("squeezenet1_0", "classifier.1"),
        ("vit_b_16", "heads.head"),
        ("swin_t", "head"),
    ],
)
def test_torchvisions_networks(architecture: str, head: str):
    build = torchvision().models.get_model
    with torch.device("meta"):
        network = build(architecture, weights=None).eval()
        found = stages_of(network, torch.zeros(1, 3, 224, 224))
    assert len(found) == STAGES
    assert found[0] == (head,)
    own = [name for name, part in network.named_modules() if list(part.parameters(recurse=False))]
    named = [name for stage in found for name in stage]
    assert sorted(named) == sorted(own)
    sizes = [len(stage) for stage in found[1:]]
    assert max(sizes) - min(sizes) <= 1
    if architecture == "vit_b_16":  # read by its parent, never called
        attention = "encoder.layers.encoder_layer_0.self_attention"
        assert abs(named.index(f"{attention}.out_proj") - named.index(attention)) == 1
        assert "" in found[-1]  # the class token, which the first layer adds


def test_each_stage_changes_its_own_modules_alone(network):
    before = held(network)
    with randomisable(network) as randomise:
        randomise(["head"], 0)
        assert changed(network, before) == {"head.weight", "head.bias"}
        assert torch.count_nonzero(network.head.bias) == 0
        randomise(["head", "body.1", "body.0", ""], 0)
        # Counts are no weights.
        assert changed(network, before) == set(before) - {
            "counter",
            "body.1.num_batches_tracked",
        } - {
            "body.1.weight",  # all ones, of which the spread is 0
            "body.1.bias",
        }
        assert torch.equal(network.body[1].running_mean, torch.zeros(4))
        assert torch.equal(network.body[1].running_var, torch.ones(4))
    assert changed(network, before) == set()


def test_everything_is_put_back_after_an_exception(network):
    before, modes = held(network), [part.training for part in network.modules()]
    tensors = {name: tensor.data_ptr() for name, tensor in network.named_parameters()}

    def interrupted() -> None:
        with randomisable(network) as randomise:
            randomise(["head", "body.0"], 1)
            assert changed(network, before)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert changed(network, before) == set()
    assert {name: tensor.data_ptr() for name, tensor in network.named_parameters()} == tensors
    assert [part.training for part in network.modules()] == modes
    assert all(p.grad is None for p in network.parameters())


def test_the_seed_decides_and_no_global_state_does(network):
    state = torch.get_rng_state()
    with randomisable(network) as randomise:
        randomise(["body.0", ""], 7)
        first = network.body[0].weight.clone()
        randomise(["body.0"], 8)
        assert not torch.equal(network.body[0].weight, first)
        with seeded(1):  # whatever it is
            randomise(["body.0"], 7)
        assert torch.equal(network.body[0].weight, first)
    assert torch.equal(torch.get_rng_state(), state)


def test_draws_do_not_hang_on_the_one_before(network):
    with randomisable(network) as randomise:
        randomise([""], 3)
        first = network.shift.clone()
        randomise([""], 4)
        randomise([""], 3)
        assert torch.equal(network.shift, first)


def test_weights_are_drawn_as_training_would_begin():
    network = nn.Sequential(nn.Conv2d(16, 64, 3))
    with randomisable(network) as randomise:
        randomise(["0"], 0)
        weight = network[0].weight.detach()
        assert float(weight.std()) == pytest.approx((2 / (16 * 9)) ** 0.5, rel=0.05)
        assert abs(float(weight.mean())) < 0.01


def test_tied_weights_stay_tied():
    network = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    network[1].weight = network[0].weight
    before = held(network)
    with randomisable(network) as randomise:
        randomise(["0", "1"], 0)
        assert torch.equal(network[0].weight, network[1].weight)
        assert not torch.equal(network[0].weight, before["0.weight"])
    assert changed(network, before) == set()


def test_weights_that_cannot_be_written_are_an_error():
    with torch.inference_mode():
        network = nn.Linear(2, 2)
    before = held(network)
    with pytest.raises(ModelError, match="cannot be replaced"), randomisable(network):
        pytest.fail("nothing may run")
    assert changed(network, before) == set()


def test_a_network_without_weights_has_no_stages():
    assert stages(nn.Sequential(nn.AvgPool2d(4), nn.Flatten())) == ()
    with randomisable(nn.ReLU()) as randomise:
        randomise([], 0)
