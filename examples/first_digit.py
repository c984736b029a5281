# %% [markdown]
# # From pixels to a completed digit
#
# A model of this kind predicts each pixel from those before it. This notebook draws digits with a
# trained one, scores them, completes halves of them, and trains a small one. It takes a few
# minutes.
#
# `python examples/first_digit.py` runs the same as a script (`--quick`: smaller), and `python
# examples/build_notebooks.py --out examples/notebooks` makes the notebook of it.

# %%
import os
import sys

import torch

import nextpixel as npx
from nextpixel import gallery

QUICK = "--quick" in sys.argv or "NEXTPIXEL_QUICK" in os.environ
rng = torch.Generator().manual_seed(0)

# %% [markdown]
# ## Pixels are levels
#
# Images are whole numbers, `levels`: 0 to K - 1. Here K is 2, white and black.

# %%
digits = npx.load_data("mnist", levels=2).test.take(8)
print(digits.levels.shape, digits.levels.unique().tolist(), digits.labels.tolist())
gallery.grid(digits.levels, 2)

# %% [markdown]
# ## Draw
#
# The model comes with the package. It is given the digit to draw. Each picture is drawn pixel by
# pixel from the top left: predict, draw a level, go on.

# %%
model = npx.load("mnist2-gated-class")
labels = torch.arange(10)
drawn = npx.sample(model, 10, condition=labels, rng=rng)
gallery.grid(drawn, 2, columns=10)

# %% [markdown]
# ## Score
#
# The probability of an image is the product of the probabilities of its pixels. `log_prob` is its
# logarithm in nats; divided by ln 2 it is the number of bits that the image takes.

# %%
with torch.no_grad():
    bits = -model.log_prob(digits.levels, digits.labels) / torch.log(torch.tensor(2.0))
    noise = torch.randint(0, 2, digits.levels.shape, generator=rng)
    of_noise = -model.log_prob(noise, digits.labels) / torch.log(torch.tensor(2.0))
print("bits of digits:", bits.round().int().tolist(), "of 784 pixels")
print("bits of noise: ", of_noise.round().int().tolist())

# %% [markdown]
# ## Complete
#
# Keep the upper half and draw the rest, four times each. Completions differ: the model has a
# distribution, not one answer.

# %%
known = torch.arange(28).view(28, 1) < 14
several = digits.levels.repeat_interleave(4, 0)
of_each = digits.labels.repeat_interleave(4)
completed = npx.complete(model, several, known, condition=of_each, rng=rng)
gallery.sheet(digits.levels, known, completed.unflatten(0, (-1, 4)), 2)

# %% [markdown]
# ## Train one
#
# The 8x8 digits have 17 levels and need only seconds an epoch. 300 steps give digits that are not
# good yet; the recipe `digits17-gated` goes on for 2,500.

# %%
data = npx.load_data("digits")
small = npx.build(
    "gated-pixelcnn",
    seed=0,
    shape=data.shape,
    levels=data.level_count,
    features=16,
    layers=2,
    first_side=5,
    position=True,
    condition=npx.ClassCondition(10, form="gate"),
)
config = npx.TrainConfig(
    steps=10 if QUICK else 300, batch_size=64, optimizer="muon", learning_rate=0.02, warmup=5
)
before = npx.evaluate(small, data.test)
npx.fit(small, data, config)
print("before:", before)
print("after: ", npx.evaluate(small, data.test))

# %%
gallery.grid(npx.sample(small, 20, condition=labels.repeat(2), rng=rng), 17, columns=10)
