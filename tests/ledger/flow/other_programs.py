"""Another app of the same namespace, for limits that several apps share."""

from __future__ import annotations

import durableq as dq
from tests.ledger.flow.names import OTHER_APP_ID
from tests.ledger.flow.programs import declare

app = dq.App(OTHER_APP_ID)
declare(app, OTHER_APP_ID)
