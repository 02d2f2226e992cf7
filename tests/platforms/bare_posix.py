"""A personality for `without_linux.py`: a POSIX system that trio has no event loop for."""

import select
import sys

del select.epoll
sys.platform = "bare"
