"""What all tests share."""

import torch
from hypothesis import settings

# A shared machine stalls now and then; a slow example is no failure.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# Several test processes with several threads each would only wait for one another.
torch.set_num_threads(1)
