"""The app itself. It has a module of its own, so that every module with functions can import it."""

import durableq as dq

app = dq.App("shop")
