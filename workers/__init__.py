"""A small shop, as an example of an app: read orders.py first, then signups.py, reports.py and catalogue.py.

durableq dev workers.shop:app
durableq send order/created --data '{"order_id": "7", "card": "visa", "items": [{"sku": "tea", "count": 2}]}'
durableq runs list

An order with the card "transfer" waits until somebody sends what its customer has paid, or cancels it:

durableq send payment/settled --data '{"order_id": "7", "payment": "transfer-7"}'
durableq send order/cancelled --data '{"order_id": "7"}'
"""
