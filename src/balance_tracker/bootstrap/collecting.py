"""Collections: which are listed, who leads tours of them, and who finds what contracts do not list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from balance_tracker.bootstrap.configuration import named_setting, operator_list
from balance_tracker.catalog.collections import load_collections
from balance_tracker.core.ids import Slug
from balance_tracker.core.networks import Network
from balance_tracker.core.nfts import Collection
from balance_tracker.evm.nft_search import NftSearch
from balance_tracker.evm.nfts import NftGuides
from balance_tracker.ports import Cache, NameService
from balance_tracker.services.addresses import AddressBook
from balance_tracker.services.nft_metadata import NftMetadata
from balance_tracker.services.nfts import NftService
from balance_tracker.services.whole_reading import WholeReading
from balance_tracker.settings import Settings
from balance_tracker.transport.metadata_documents import MetadataDocuments
from balance_tracker.transport.pool import Pool


@dataclass(frozen=True, slots=True)
class Collecting:
    """What reading collections needs, by network.

    Attributes:
        metadata: Learns URIs and what they hold.
        listed: The collections that are asked of every wallet.
        guides: Who leads tours of them; of EVM networks only.
        searches: Who finds what contracts do not list; of EVM networks only.
    """

    metadata: NftMetadata
    listed: Mapping[Slug, Sequence[Collection]] = field(default_factory=dict)
    guides: Mapping[Slug, NftGuides] = field(default_factory=dict)
    searches: Mapping[Slug, NftSearch] = field(default_factory=dict)

    @classmethod
    def nothing(cls) -> "Collecting":
        """Where no collection is listed and nobody searches."""
        return cls(NftMetadata({}, MetadataDocuments("")))

    def service(
        self,
        readings: Mapping[Slug, WholeReading],
        book: AddressBook,
        names: NameService | None,
        cache: Cache,
        settings: Settings,
    ) -> NftService:
        """The use case over readings of the tracked networks."""
        return NftService(
            {slug: reading.network for slug, reading in readings.items()},
            readings,
            self.searches,
            self.listed,
            self.metadata,
            book=book,
            names=names,
            cache=cache,
            deadline_seconds=settings.deadline_seconds,
            ttl_seconds=settings.balance_ttl_seconds,
        )


async def open_collecting(
    settings: Settings, networks: Mapping[Slug, Network], pools: Mapping[Slug, Pool]
) -> Collecting:
    """Everything for the collections of the tracked networks.

    Raises:
        ConfigurationError: A list can't be had, or is wrong.
    """
    with named_setting("TRACKER_COLLECTION_LISTS"):
        lists = [await operator_list(entry, "collection list") for entry in settings.collection_lists]
        listed = load_collections(networks, shipped=settings.shipped_tokens, extra_lists=lists)
    evm = [network for network in networks.values() if network.family == "evm"]
    guides = {network.slug: NftGuides() for network in evm}
    searches = {
        network.slug: NftSearch(network, pools[network.slug], guides[network.slug].standards)
        for network in evm
    }
    metadata = NftMetadata(searches, MetadataDocuments(settings.ipfs_gateway))
    return Collecting(metadata, listed, guides, searches)
