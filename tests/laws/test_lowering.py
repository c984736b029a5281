"""A lowered network is the network."""

import torch

from tests.laws.cases import told
from tests.laws.test_exactness import random_levels


@torch.inference_mode()
def test_the_program_gives_what_the_network_gives(case):
    model = case.build(7, 8)
    levels = random_levels(model, 2)
    given = model.condition(told(model, 2), 2)
    x = model.encode(levels)
    torch.testing.assert_close(
        model.lower().run(x, given), model.network(x, given), rtol=0, atol=1e-10
    )
