"""What the kernels' client leaves open is not ours to close: its event loops, and the pairs of sockets in them."""


def pytest_configure(config):
    for left_open in ("unclosed event loop", "unclosed <socket.socket fd=[0-9]+, family=(1|AddressFamily.AF_UNIX)"):
        config.addinivalue_line("filterwarnings", f"ignore:{left_open}:ResourceWarning")
