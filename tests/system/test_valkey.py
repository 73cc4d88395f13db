"""The bus with a real Valkey, in place of Redis."""

from tests.support.real.redis import Valkey
from tests.system import test_bus, test_cluster, test_engine_history

for _tests in (
    test_bus.BusTests,
    test_bus.LoginTests,
    test_cluster.PushTests,
    test_engine_history.EngineHistoryTests,
):
    _name = f"Valkey{_tests.__name__}"
    globals()[_name] = type(_name, (_tests,), {"__module__": __name__, "engine_type": Valkey})
del _tests
