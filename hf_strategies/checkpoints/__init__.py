"""a run on disk: checkpoints that are whole or not there, and the choice of one to go on from."""
