"""The stages of a training's time."""

START = "start and end of training"
BATCHES = "waiting for batches"
STEPS = "training steps"
VALIDATION = "validation"
STATE = "state file and history"
