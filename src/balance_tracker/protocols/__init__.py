"""What wallets have in protocols: one file each, found by being there; none knows another.

A file (or a package, where one file would be too long) of this room that has both of these is a
protocol; a test of the house sees to it that no file has only one of them::

    PROTOCOL = ProtocolSpec(slug="compound_v3", name="Compound v3", family="evm", grade="silver")

    def guides(network: Network, asset_of: AssetOf, rows: Rows = ()) -> Sequence[EvmGuide]:
        ...

``guides`` is called once per network when the tracker starts: a guide for every market that the
protocol has there, none for a network without it. A market's name in the guide is what its
positions and failures say. ``rows`` is what ``data/protocols/<slug>.toml`` says of that network (its
``[[deployments]]`` tables with ``network = "<slug>"``), for protocols with more addresses than a file
should have; the others keep them in ``DEPLOYMENTS`` by network.

On Solana there are no tours. A protocol of ``family="solana"`` has instead of ``guides``::

    def sources(network: Network, asset_of: AssetOf) -> Sequence[PositionSource]:
        ...

each of which says what is to be asked of an owner and makes positions of the answers; all sources of the
network ask in one request (:mod:`balance_tracker.solana.sources`).

A guide starts tours (:mod:`balance_tracker.evm.tours`) of one owner, which arrives in EIP-55 form::

    def _tour(market: Market, owner: Address) -> EvmTour:
        outcomes = yield [Call(market.comet, BALANCE_OF + address_word(owner))]
        ...
        return positions

What tours may rely on, and what is expected of them:

- The first round rides with the balances of every wallet: a few small calls that tell whether the
  wallet has anything there. A tour that returns after it has cost no request.
- All rounds of all tours are of one block. Each later round of all tours together is one question, so
  few rounds with many calls are better than many with few. The driver bounds both.
- A call that no endpoint answered never arrives: the driver ends the tour and declares it failed. A
  :class:`~balance_tracker.evm.outcomes.CallFailure` that arrives is the contract's own word (it
  reverted, ran out of gas, is not there, was malformed), and the tour judges it.
- At a past block before all contracts of its first round were there a tour is ended: nobody had anything
  there. Where only some were missing, or those of a later round, their calls arrive as
  :data:`~balance_tracker.evm.outcomes.NOT_YET`.
- What is not as it should be raises :class:`~balance_tracker.evm.tours.TourError`; that market is
  declared failed. Any other exception ends that tour only, too, and is logged.
- Assets come from ``asset_of``; those that it does not know are asked what they are with
  ``assets = yield from known_assets(network, asset_of, addresses)`` (:mod:`.assets`), in one round that
  is left out where all are known. ``native_asset(network)`` is the network's own coin.
"""
