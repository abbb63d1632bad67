"""Input bins -> output bins as ais_bench writes them: by the card's own tool for a `.om`, by onnxruntime for a `.onnx`.

Other stages use `infer.session.Session`; everything else here is the command.
"""

import detector as detector  # before all others: signals are heard from here on
