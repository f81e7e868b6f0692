"""What the contract asks of a worker, in whatever language it is written: see docs/conformance.md."""
