"""What is stored in volumes outlives the containers. Last of all: Mailpit forgets e-mails that other tests count."""

from tests.e2e.shop import Shop
from tests.e2e.system import ComposeSystem


def test_orders_under_way_survive_down_and_up(containers: ComposeSystem, shop: Shop) -> None:
    containers.compose("stop", "notifier")
    orders = shop.place_all(range(440, 460))
    containers.compose("down")
    containers.up()

    shop.expect_mail_each(orders, timeout=120)
