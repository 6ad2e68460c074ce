"""
How much work each program does.
"""

#: Pages that Scrapy crawls.
PAGES = 1500
#: Operations of txredisapi.
OPERATIONS = 10_000
#: Lines of metrics that carbon takes.
LINES = 100_000
