"""What surrounds runs: beginning a workspace, and living with it."""
