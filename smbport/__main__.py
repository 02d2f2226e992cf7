"""`python -m smbport`."""

import sys

from smbport.cli import main

if __name__ == "__main__":
    sys.exit(main())
