"""Spark Connect: where the plan itself runs elsewhere."""
