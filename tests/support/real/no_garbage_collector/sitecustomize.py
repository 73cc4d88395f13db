"""Python without a garbage collector: what is not freed at once stays for ever."""

import gc

gc.disable()
