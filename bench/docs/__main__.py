"""`python -m bench.docs`, as `bench.docs.splice` says."""

import sys

from bench.docs.splice import main

sys.exit(main())
