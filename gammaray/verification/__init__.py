"""Which components exist, and the checks that exercise each of them against a running system."""
