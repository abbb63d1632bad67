"""Images to the bins that the network is fed: decode, letterbox, normalize, one file per image and a manifest."""

import detector as detector  # before all others: signals are heard from here on
