from tests.shared.flows.conftest import bench

__all__ = ["bench"]
