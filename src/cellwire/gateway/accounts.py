"""Keeps the accounts of all packs and banks: what was saved, what is to be saved, what samples and seconds bring."""

from collections.abc import Mapping

from .account import Account, Shown, Told
from .bank import NOT_READ, Member, combine
from .config import BankSettings, Config, PackSettings
from .events import Events
from .store import BankState, PackState, Readings, Store

UNKNOWN = PackSettings("", "")


class BankAccount:
    """One bank: its meter gets what is metered in its packs, so packs that come and go never make it jump."""

    def __init__(self, settings: BankSettings) -> None:
        self.settings = settings
        self.state = BankState(settings.name, settings.packs, settings.id)
        self.shown = Shown()
        self.standing: list[str] = []  # packs that are warned of
        self.told = Told()


class Accounts:
    """Follows all packs and banks of a store; `take` is to be the store's `follow`, `tick` to be called each second."""

    def __init__(self, store: Store, events: Events, config: Config) -> None:
        self.store = store
        self.events = events
        self._settings: dict[str, PackSettings] = {}
        self._saved: dict[str, tuple[Mapping[str, float], float]] = {}  # by id, with the time
        self._accounts: dict[str, Account] = {}  # by name
        self._settled: dict[str, Account] = {}  # by id, those of packs that are gone as well
        self._banks: dict[str, BankAccount] = {}  # by id, those that are gone as well
        self._bank_of: dict[str, BankAccount] = {}  # by name of the pack
        self.configure(config)

    # Configuration, what was saved, and what is to be saved

    def configure(self, config: Config) -> None:
        """Apply the configuration; packs and banks that stay go on."""
        self._settings = {pack.name: pack for pack in config.packs}
        for name, account in self._accounts.items():
            account.settings = self._settings.get(name, UNKNOWN)
        self._bank_of = {}
        self.store.banks.clear()
        for settings in config.banks:
            bank = BankAccount(settings)
            bank = self._banks.setdefault(bank.state.id, bank)
            bank.settings, bank.state.name, bank.state.packs = settings, settings.name, settings.packs
            self._bank_of.update(dict.fromkeys(settings.packs, bank))
            self.store.add_bank(bank.state)
            self._restore(bank.state.id)

    def restore(self, identity: str, saved: Mapping[str, float], moment: float) -> None:
        """Go on from what was written down at a moment for the pack or bank of that id; it counts once."""
        self._saved[identity] = saved, moment
        self._restore(identity)

    def _restore(self, identity: str) -> None:
        saved, moment = self._saved.get(identity, ({}, 0.0))
        if saved and identity in self._banks:
            self._banks[identity].shown.restore(saved)
        elif saved and identity in self._settled:
            self._settled[identity].restore(saved, moment)
        self._show(identity)

    def journal(self, identity: str) -> dict[str, float]:
        """Return what must survive a crash of the pack or bank of that id."""
        if identity in self._banks:
            return self._banks[identity].shown.meter.readings()
        return self._settled[identity].journal() if identity in self._settled else {}

    def settle(self, journalled: Mapping[str, Mapping[str, float]]) -> None:
        """Show the meters that are on the disk now, by id."""
        for identity, meters in journalled.items():
            account = self._banks.get(identity) or self._settled.get(identity)
            if account is not None:
                account.shown.settle(meters)
                self._show(identity)

    def _show(self, identity: str) -> None:
        if identity in self._banks:
            bank = self._banks[identity]
            bank.state.readings = {**bank.state.readings, **bank.shown.totals}
        elif identity in self._settled:
            account = self._settled[identity]
            self.store.put(account.pack, account.shown.totals)

    # A sample

    def take(self, pack: PackState, sample: Readings) -> Readings:
        """Take an accepted sample, which is in the pack's readings already; return what follows from it."""
        now = self.store.monotonic()
        account = self._account(pack, now)
        step = account.take(sample, now)
        bank = self._bank_of.get(pack.name)
        if step is not None and bank is not None:
            bank.shown.meter.add(step)
        account.tell_alarms(now)
        return account.worked_out()

    def _account(self, pack: PackState, now: float) -> Account:
        account = self._accounts.get(pack.name)
        if account is None or account.pack is not pack:
            settings = self._settings.get(pack.name, UNKNOWN)
            account = self._accounts[pack.name] = Account(pack, settings, self.events, now)
        if pack.settled and account.id != pack.id:
            account = self._identify(account, pack.id)
        return account

    def _identify(self, account: Account, identity: str) -> Account:
        """Return the account under which the pack was known before, by whatever name, or this one, restored."""
        known = self._settled.get(identity)
        if known is None:
            account.id = identity
            self._settled[identity] = account
            self._restore(identity)
            return account
        for name in [name for name, other in self._accounts.items() if other is known]:
            del self._accounts[name]
        known.move(account)
        self._accounts[account.pack.name] = known
        self._show(identity)
        return known

    # Each second

    def tick(self) -> None:
        """Look at what happens without a sample: states, limits of packs that are away, late events, banks."""
        now = self.store.monotonic()
        for name in [name for name in self._accounts if name not in self.store.packs]:
            del self._accounts[name]
        away: dict[str, str] = {}
        for pack in self.store.packs.values():
            account = self._account(pack, now)
            why = away[pack.name] = account.away(now)
            if why:
                account.pause(why)
                if account.sampled:
                    self.store.put(pack, account.worked_out())
            account.tell_state(why, now)
            account.tell_alarms(now)
        for state in self.store.banks.values():
            self._combine(self._banks[state.id], away, now)

    def _combine(self, bank: BankAccount, away: Mapping[str, str], now: float) -> None:
        members = []
        for name in bank.settings.packs:
            account = self._accounts.get(name)
            if account is None:
                members.append(Member(name, {}, NOT_READ))
            else:
                smoothed = account.counter.smoothed
                members.append(Member(name, account.pack.readings, away[name], account.capacity(), smoothed))
        combined = combine(members, bank.settings.join_difference, bank.standing)
        bank.standing = [warned.pack for warned in combined.warnings]
        state = bank.state
        state.readings = {**combined.readings, **bank.shown.totals}
        state.missing = combined.missing
        state.warnings = [warned.text for warned in combined.warnings]
        present = [self.store.packs[name] for name in state.packs if name not in combined.missing]
        seen = [(pack.seen, pack.time) for pack in present if pack.seen is not None and pack.time is not None]
        if seen:
            state.seen, state.time = min(seen)
        self._tell(bank, {warned.pack: warned.text for warned in combined.warnings}, now)

    def _tell(self, bank: BankAccount, warnings: Mapping[str, str], now: float) -> None:
        """Tell which packs came and went, and which must not be joined."""
        state = bank.state
        count = f"{len(state.packs) - len(state.missing)} of {len(state.packs)} packs"
        for name in state.packs:
            why = state.missing.get(name, "")
            # A pack that was not read yet since the start is no news.
            if why != NOT_READ and bank.told.changed(why, now, "pack", name):
                words = f"does not count, it is {why}" if why else "counts again"
                self.events.add("bank", f"{state.name}: {name} {words}; {count}", state.id, state.name, member=name)
        for name in ("", *state.packs):
            text = warnings.get(name, "")
            if bank.told.changed("warned" if text else "", now, "warning", name):
                text = text or (f"{name} may be joined" if name else "the joined packs are alike again")
                self.events.add("bank", f"{state.name}: {text}", state.id, state.name, member=name)
