"""Read the page again and again."""

import os
import time
import urllib.request

while True:
    with urllib.request.urlopen("http://127.0.0.1:8000/") as page:
        print(os.environ["NAME"], "reads:", page.read().decode().strip(), flush=True)
    time.sleep(5)
