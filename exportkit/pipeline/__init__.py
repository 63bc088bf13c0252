"""One run of a job, stage by stage: `run.py` is the sentence that joins them."""
