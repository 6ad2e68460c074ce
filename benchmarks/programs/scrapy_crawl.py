"""
Scrapy: crawls all pages of a site.
"""

from __future__ import annotations

from collections.abc import Iterator

from amounts import PAGES
from reactors import chosen
from scrapy import Spider
from scrapy.crawler import CrawlerProcess
from scrapy.http import Response


class Pages(Spider):
    """
    Follows every link.
    """

    name = "pages"

    def parse(self, response: Response) -> Iterator[object]:
        """
        Take a page.
        """
        yield {"page": response.url}
        for link in response.css("a::attr(href)").getall():
            yield response.follow(link)


reactor, address = chosen()
process = CrawlerProcess(
    {"TWISTED_REACTOR": reactor, "TELNETCONSOLE_ENABLED": False, "LOG_LEVEL": "ERROR"}
)
crawler = process.create_crawler(Pages)
process.crawl(crawler, start_urls=[f"http://127.0.0.1:{address}/1"])
process.start()
assert crawler.stats.get_value("item_scraped_count") == PAGES
