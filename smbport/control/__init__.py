"""The control plane of a server in the kernel: who may log on, what is shared, who may connect, what pipes say.

It answers with the configuration, the users and the rules that the server in user space has.  `serve.py` starts,
reloads and stops; `answers.py` and `pipes.py` answer the kernel's questions; `rules.py` is what they know;
`plan.py` what the kernel is told at its start; `settings.py` what it cannot do.
"""

from smbport.control.serve import Controlled, Refused, serve_from_kernel
from smbport.control.settings import find_problems, reference

__all__ = ["Controlled", "Refused", "find_problems", "reference", "serve_from_kernel"]
