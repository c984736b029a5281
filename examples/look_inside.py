# %% [markdown]
# # Look inside: masks, the blind spot, exact probabilities
#
# Why may a convolution be used to predict a pixel from the past only? This notebook looks at
# masks, asks a model by derivatives what it sees, and adds up the probabilities of *all* images.
#
# `python examples/look_inside.py` runs the same as a script.

# %%
import os
import sys

import torch

import nextpixel as npx
from nextpixel import gallery
from nextpixel.nn.masks import causal_mask

QUICK = "--quick" in sys.argv or "NEXTPIXEL_QUICK" in os.environ

# %% [markdown]
# ## Masks
#
# A 5x5 kernel keeps only its rows down to the centre. Mask A leaves out the centre, mask B keeps
# it.

# %%
for name, sees_self in (("A", False), ("B", True)):
    print(f"mask {name}")
    print(causal_mask(5, 1, sees_self=sees_self)[0, 0].int())

# %% [markdown]
# ## What a pixel sees
#
# `audit` takes the derivative of every prediction by every pixel. Masked weights are exactly
# zero, so what must not be seen has a derivative of exactly zero. Stacked masked 3x3 kernels
# never see a part of the past, above and to the right: the blind spot (orange).

# %%
side = 9 if QUICK else 13
size = {"shape": (1, side, side), "levels": 2, "features": 8, "side": 3}
plain = npx.audit(npx.build("pixelcnn", seed=0, layers=4, **size))
print(plain.summary())
step = plain.centre()
gallery.receptive_field(plain.field(step), step, blind=plain.blind(step))

# %% [markdown]
# Two stacks, one for the rows above and one for the row itself, have no blind spot.

# %%
gated = npx.audit(npx.build("gated-pixelcnn", seed=0, layers=3, first_side=3, **size))
print(gated.summary())
gallery.receptive_field(gated.field(step), step, blind=gated.blind(step))

# %% [markdown]
# ## Break it
#
# One tap too many, and the audit says so. The loss would not: a model that sees its own pixel has
# a splendid one.

# %%
broken = npx.build("pixelcnn", seed=0, layers=4, **size)
broken.hidden[0].conv.conv.mask[..., -1, 1] = True  # the centre of the first kernel
print(npx.audit(broken).summary())

# %% [markdown]
# ## Exact probabilities
#
# A 3x3 image of two levels has 512 forms. Their probabilities sum to one, whatever the weights
# are: here they are drawn at random.

# %%
tiny = npx.build(
    "gated-pixelcnn", seed=0, shape=(1, 3, 3), levels=2, features=8, layers=1, first_side=3
)
rng = torch.Generator().manual_seed(0)
with torch.no_grad():
    for weight in tiny.parameters():
        weight.copy_(torch.randn(weight.shape, generator=rng))
    images = torch.cartesian_prod(*[torch.arange(2)] * 9).view(512, 1, 3, 3)
    p = tiny.double().log_prob(images).exp()
print(f"512 images, from {p.min():.1e} to {p.max():.1e}")
print(f"their sum differs from 1 by {p.sum() - 1:.0e}")

# %% [markdown]
# So sampling can be checked: each image must turn up as often as the model says.

# %%
count = 2000 if QUICK else 20000
drawn = npx.sample(tiny, count, rng=rng, method="recompute", batch_size=2000)
numbers = (drawn.flatten(1).long() * 2 ** torch.arange(8, -1, -1)).sum(1)
seen = torch.bincount(numbers, minlength=512) / count
for number in p.argsort(descending=True)[:5].tolist():
    print(f"image {number}: probability {p[number]:.4f}, drawn {seen[number]:.4f} of the time")

# %% [markdown]
# ## Where the bits are
#
# Bits of each pixel of a digit, given those before it: outlines cost, paper is free.

# %%
model = npx.load("mnist2-gated-class")
digit = npx.load_data("mnist", levels=2).test.take(1)
with torch.no_grad():
    found = model(digit.levels, digit.labels).log_prob(digit.levels)[0, 0]
bits = -found / torch.log(torch.tensor(2.0))
half = int((bits.flatten().sort(descending=True)[0].cumsum(0) < bits.sum() / 2).sum()) + 1
print(f"{bits.sum():.0f} bits in all; half of them in {half} of 784 pixels")
gallery.grid((bits.clamp(max=4) / 4 * 255).round().long()[None, None], 256, scale=8)
