"""One process of 16 threads, as ours."""

worker_class = "gthread"
workers = 1
threads = 16
graceful_timeout = 20
control_socket_disable = True


def post_worker_init(worker: object) -> None:
    import orders

    orders.publisher.start()


def worker_exit(server: object, worker: object) -> None:
    import orders

    orders.publisher.stop()
