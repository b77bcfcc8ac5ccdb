"""The neural classifier: its input, scoring, what it looked at."""

import os

# onnxruntime's builds keep an identifier of the machine in the user's cache and send events to Microsoft, and say that this,
# set before they are loaded, is the one way to have none of it. Who wants them sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
