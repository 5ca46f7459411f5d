def send(order):
    raise ConnectionError("There is no mail server here.")


def render(page):
    return page
