"""What exportkit remembers between runs: the journal, the snapshots, who holds which lock."""
