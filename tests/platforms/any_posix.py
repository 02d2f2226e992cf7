"""A personality for `without_linux.py`: any POSIX system that trio has an event loop for; here that is epoll."""

HAS = ("epoll_create1", "epoll_ctl", "epoll_wait", "eventfd2")
