"""A small shop, as an example of an app: read orders.py first, then signups.py and reports.py.

durableq dev workers.shop:app
durableq send order/created --data '{"order_id": "7", "card": "visa", "items": [{"sku": "tea", "count": 2}]}'
durableq runs list
"""
