"""The files of a register: their columns, and the commands that a row of each becomes.

Headings are Chinese, as bureaus write them. A volume's heading carries its unit: 许可水量(万m³) or 许可水量(m³).
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from adapters.registry import cells
from adapters.registry.records import Column, Row
from adapters.registry.tables import Hint
from ledger.codes import Code, Refused
from ledger.commands import (
    AllocateCell,
    Command,
    InstallMeter,
    IssueRight,
    Person,
    RegisterIntake,
    RegisterParty,
    RegisterRight,
)
from ledger.units import LITRES_PER_M3, show_m3

RIGHT = Column("用水权编号", "code of the right", aliases=("水权证编号", "凭证编号"))
HOLDER = Column("取用水户编号", "code of the holder", aliases=("权利人编号", "用水户编号"))
SOURCE = Column("水源", "source", aliases=("水源类型", "取水水源"))
BASIN = Column("流域", "basin", aliases=("交易分区", "所在流域"))
TOWNSHIP = Column("街镇", "township", aliases=("乡镇", "乡镇街道", "所在街镇", "镇街"))
INDUSTRY = Column("行业", "industry", aliases=("行业类别", "所属行业"))
SCHEME = Column("灌区", "irrigation scheme", aliases=("灌区名称", "所属灌区"))
NETWORK = Column("管网", "network", aliases=("管网名称", "供水管网"))
YEAR = Column("年度", "year")
FROM = Column("有效期起", "valid from", aliases=("有效期开始", "起始日期"))
UNTIL = Column("有效期止", "valid until, that day included", aliases=("有效期截止", "截止日期", "有效期至"))
DOCUMENT = Column("文号", "document", aliases=("批准文号", "依据文号"))

ALLOCATED = Column("分配水量", "allocated volume", "volume")

CODE = Column("编号", "code of the holder", aliases=(*HOLDER.aliases, HOLDER.name))
KIND = Column("类型", "kind", aliases=("取用水户类型", "户类型"))
NAME = Column("名称", "name of a body", aliases=("取用水户名称", "单位名称"))
CREDIT = Column("统一社会信用代码", "unified social credit code", aliases=("信用代码",))
PERSON = Column("姓名", "name of a person", optional=True, private=True)
IDENTITY = Column("身份证号", "identity number", optional=True, private=True, aliases=("身份证号码", "公民身份号码"))
PHONE = Column("联系电话", "telephone", optional=True, private=True, aliases=("电话", "手机号"))
BANK = Column("银行账号", "bank account", optional=True, private=True, aliases=("银行卡号", "开户账号"))

LICENCE = Column("取水许可证编号", "number of the licence", aliases=("许可证编号", "取水许可证号"))
LICENSED = Column("许可水量", "licensed volume a year", "volume", aliases=("年许可水量", "许可取水量"))
VERIFIED = Column("核定水量", "strictly verified volume a year", "volume", aliases=("核定许可水量",))
PLANNED = Column("年度水量", "volume issued for the year", "volume", aliases=("年度下达水量", "年度取水计划"))

AREA = Column("灌溉面积", "irrigated area", "area")
QUOTA = Column("灌溉定额", "irrigation quota", "quota", aliases=("用水定额",))
INDEX = Column("年度用水指标", "index of the year", "volume", aliases=("用水指标",))
REGION_VOLUME = Column("区域水量", "volume of the region", "volume", aliases=("区域水权水量",))

INTAKE = Column("取水口编号", "code of the intake")
INTAKE_NAME = Column("取水口名称", "name of the intake")
INTAKE_KIND = Column("取水口类型", "kind of intake", aliases=("类型",))
HEAD_AREA = Column("灌溉面积", "irrigated area", "area", optional=True)

METER = Column("计量设施编号", "code of the meter", aliases=("水表编号",))
STATION = Column("测站编码", "station", optional=True, aliases=("站址", "测站编号"))
ONLINE = Column("在线", "reports online", aliases=("是否在线", "在线计量"))
DIRECTION = Column("方向", "intake or return flow")
MODULUS = Column("计数器量程", "volume at which the register wraps", "volume", aliases=("量程",))
MAXIMUM = Column("最大流量", "largest flow", "flow")
FIRST = Column("初始读数", "register at the beginning", "volume")
INSTALLED = Column("安装日期", "installed on")
READ_ON = Column("初始读数日期", "day of that reading, where it is not the day of installation", optional=True)
VERIFIED_UNTIL = Column("检定有效期", "verified until, that day included", aliases=("检定有效期至", "检定有效期止"))
SHARES = Column("用水权", "rights measured, with their shares", aliases=("所属用水权", "对应用水权"))

PARTY_KINDS: Final = {"企业": "company", "政府": "government", "集体": "collective", "个人": "person"}
INTAKE_KINDS: Final = {"取水口": "intake", "渠首": "irrigation_head", "管网": "network"}
YES_NO: Final = {"是": True, "否": False}
DIRECTIONS: Final = {"取水": 1, "退水": -1}

RIGHT_FIELDS: Final = {
    "code": RIGHT, "right": RIGHT, "party": HOLDER, "source": SOURCE, "basin": BASIN, "township": TOWNSHIP,
    "industry": INDUSTRY, "scheme": SCHEME, "network": NETWORK, "year": YEAR, "valid_from_ns": FROM,
    "valid_to_ns": UNTIL, "document": DOCUMENT,
}  # fmt: skip


class Sheet(NamedTuple):
    """A file of the register. `kind` is what its rows define, `fields` says which column a command's field is from."""

    name: str
    en: str
    kind: str
    columns: tuple[Column, ...]
    fields: Mapping[str, Column]
    read: Callable[[Row], list[Command]]


def cell_row(row: Row) -> list[Command]:
    """Read a line of the allocation; the zone of a network is a network."""
    basin = row.label(BASIN, row.policy.basins)
    cell = AllocateCell(
        source=row.label(SOURCE, row.policy.sources),
        year=row.year(YEAR),
        basin=basin,
        township=row.label(TOWNSHIP, row.policy.townships),
        industry=row.label(INDUSTRY, row.policy.industries),
        network=basin if any(zone.network for zone in row.policy.basins if zone.code == basin) else "",
        scheme=row.text(SCHEME, optional=True),
        volume_l=row.volume(ALLOCATED),
        document=row.text(DOCUMENT),
    )
    if not row.faults:
        names = (cell.year, cell.source, cell.basin, cell.township, cell.industry, cell.scheme)
        row.claim_key(BASIN, "cell", " ".join(str(name) for name in names if name))
    return [cell]


def party_row(row: Row) -> list[Command]:
    """Read a holder. What a person's row carries stays in `Person`; a collective may have no credit code."""
    code = row.claim(CODE, "party")
    kind = row.choice(KIND, PARTY_KINDS, "")
    if kind == "person":
        person = Person(
            name=row.text(PERSON),
            identity_number=row.read(IDENTITY, cells.identity_number, ""),
            phone=row.read(PHONE, cells.digits, "", optional=True),
            bank_account=row.read(BANK, cells.digits, "", optional=True),
        )
        if person.identity_number:
            row.claim_key(IDENTITY, "identity", person.identity_number)
        return [RegisterParty(code=code, kind=kind, person=person)]
    credit = row.read(CREDIT, cells.credit_code, "", optional=kind == "collective")
    if credit:
        row.claim_key(CREDIT, "credit", credit)
    return [RegisterParty(code=code, kind=kind, name=row.text(NAME))]


def licence_row(row: Row) -> list[Command]:
    """Read a licence: the right, and what is issued for the year unless both cells of that are empty."""
    right = register_right(row, "licence", (row.volume(LICENSED), row.volume(VERIFIED)), row.text(LICENCE))
    issued = bool(row.text(YEAR, optional=True) or row.text(PLANNED, optional=True))
    return [right, issue_right(row, right, row.volume(PLANNED))] if issued else [right]


def irrigation_row(row: Row) -> list[Command]:
    """Read a certificate: area x quota must be its volume, to less than a cubic metre (A3)."""
    volume_l = row.volume(ALLOCATED)
    product = row.amount(AREA, cells.area) * row.amount(QUOTA, cells.quota)  # litres x 1000
    right = register_right(row, "irrigation", (volume_l, volume_l), row.text(DOCUMENT), row.text(SCHEME))
    if not row.faults and abs(product - volume_l * 1000) >= LITRES_PER_M3 * 1000:
        expected = show_m3(product // 1000)
        rule = Hint(f"area x quota is {expected} m³", f"灌溉面积 x 灌溉定额 = {expected} m³")
        row.fault(ALLOCATED, Refused(Code.OUT_OF_RANGE, ALLOCATED.name, f"{show_m3(volume_l)} m³", rule))
    return [right, issue_right(row, right, volume_l)]


def network_row(row: Row) -> list[Command]:
    """Read a user of a public network: his index is a part of the supplier's right, in the network's own zone."""
    volume_l = row.volume(INDEX)
    right = register_right(row, "network", (volume_l, volume_l), row.text(DOCUMENT))
    return [right, issue_right(row, right, volume_l)]


def regional_row(row: Row) -> list[Command]:
    """Read the right of a region, held by its government."""
    volume_l = row.volume(REGION_VOLUME)
    right = register_right(row, "regional", (volume_l, volume_l), row.text(DOCUMENT))
    return [right, issue_right(row, right, volume_l)]


def register_right(row: Row, kind: str, volumes: tuple[int, int], document: str, scheme: str = "") -> RegisterRight:
    """Read what all rights have in common. `volumes` are what is licensed and what of it is verified."""
    networks = [zone for zone in row.policy.basins if zone.network]
    basins = [zone for zone in row.policy.basins if not zone.network]
    basin = row.label(NETWORK, networks) if kind == "network" else row.label(BASIN, basins)
    return RegisterRight(
        code=row.claim(RIGHT, "right"),
        party=row.refer(HOLDER, "party"),
        kind=kind,
        source=row.label(SOURCE, row.policy.sources),
        basin=basin,
        township=row.label(TOWNSHIP, row.policy.townships),
        industry=row.label(INDUSTRY, row.policy.industries),
        network=basin if kind == "network" else "",
        scheme=scheme,
        licensed_l=volumes[0],
        verified_l=volumes[1],
        valid_from_ns=row.start_ns(FROM),
        valid_to_ns=row.end_ns(UNTIL),
        document=document,
    )


def issue_right(row: Row, right: RegisterRight, volume_l: int) -> IssueRight:
    """Read the year's volume of a right."""
    return IssueRight(right=right.code, year=row.year(YEAR), volume_l=volume_l, document=row.text(DOCUMENT))


def intake_row(row: Row) -> list[Command]:
    """Read an intake; an area is rounded down to whole mu."""
    intake = RegisterIntake(
        code=row.claim(INTAKE, "intake"),
        name=row.text(INTAKE_NAME),
        kind=row.choice(INTAKE_KIND, INTAKE_KINDS, ""),
        source=row.label(SOURCE, row.policy.sources),
        township=row.label(TOWNSHIP, row.policy.townships),
        licensed_l=row.volume(LICENSED),
        area_mu=row.amount(HEAD_AREA, cells.area, optional=True) // 1000,
    )
    return [intake]


def meter_row(row: Row) -> list[Command]:
    """Read a meter; one that reports online needs its station."""
    online = row.choice(ONLINE, YES_NO, default=False)
    installed_at_ns = row.start_ns(INSTALLED)
    meter = InstallMeter(
        code=row.claim(METER, "meter"),
        intake=row.refer(INTAKE, "intake"),
        station=row.claim(STATION, "station", optional=not online),
        online=online,
        sign=row.choice(DIRECTION, DIRECTIONS, 1),
        modulus_l=row.volume(MODULUS),
        max_l_per_hour=row.amount(MAXIMUM, cells.flow),
        first_l=row.volume(FIRST),
        installed_at_ns=row.start_ns(READ_ON, optional=True) or installed_at_ns,
        verified_until_ns=row.end_ns(VERIFIED_UNTIL),
        shares=row.read(SHARES, cells.shares, ()),
    )
    for right, _ in meter.shares:
        row.refer_key(SHARES, "right", right)
    return [meter]


CELLS: Final = Sheet(
    "初始水权分配表", "allocation of initial rights", "cell",
    (YEAR, SOURCE, BASIN, TOWNSHIP, INDUSTRY, SCHEME._replace(optional=True), ALLOCATED, DOCUMENT),
    RIGHT_FIELDS | {"volume_l": ALLOCATED}, cell_row,
)  # fmt: skip
HOLDERS: Final = Sheet(
    "取用水户名录", "holders", "party", (CODE, KIND, NAME, CREDIT, PERSON, IDENTITY, PHONE, BANK),
    {"code": CODE, "party": CODE, "kind": KIND, "name": NAME}, party_row,
)  # fmt: skip
LICENCES: Final = Sheet(
    "取水许可台账", "water-abstraction licences", "right",
    (
        RIGHT, LICENCE, HOLDER, SOURCE, BASIN, TOWNSHIP, INDUSTRY, LICENSED, VERIFIED, FROM, UNTIL, YEAR, PLANNED,
        DOCUMENT,
    ),
    RIGHT_FIELDS | {"licensed_l": LICENSED, "verified_l": VERIFIED, "volume_l": PLANNED}, licence_row,
)  # fmt: skip
CERTIFICATES: Final = Sheet(
    "灌区花名册", "irrigation certificates", "right",
    (RIGHT, HOLDER, SCHEME, SOURCE, BASIN, TOWNSHIP, INDUSTRY, AREA, QUOTA, ALLOCATED, FROM, UNTIL, YEAR, DOCUMENT),
    RIGHT_FIELDS | {"licensed_l": ALLOCATED, "verified_l": ALLOCATED, "volume_l": ALLOCATED}, irrigation_row,
)  # fmt: skip
NETWORK_USERS: Final = Sheet(
    "管网用水户", "users of a public network", "right",
    (RIGHT, HOLDER, NETWORK, SOURCE, TOWNSHIP, INDUSTRY, INDEX, FROM, UNTIL, YEAR, DOCUMENT),
    RIGHT_FIELDS | {"basin": NETWORK, "licensed_l": INDEX, "verified_l": INDEX, "volume_l": INDEX}, network_row,
)  # fmt: skip
REGIONS: Final = Sheet(
    "区域水权", "rights of regions", "right",
    (RIGHT, HOLDER, SOURCE, BASIN, TOWNSHIP, INDUSTRY, REGION_VOLUME, FROM, UNTIL, YEAR, DOCUMENT),
    RIGHT_FIELDS | {"licensed_l": REGION_VOLUME, "verified_l": REGION_VOLUME, "volume_l": REGION_VOLUME},
    regional_row,
)  # fmt: skip
INTAKES: Final = Sheet(
    "取水口名录", "intakes", "intake", (INTAKE, INTAKE_NAME, INTAKE_KIND, SOURCE, TOWNSHIP, LICENSED, HEAD_AREA),
    {
        "code": INTAKE, "intake": INTAKE, "name": INTAKE_NAME, "source": SOURCE, "township": TOWNSHIP,
        "licensed_l": LICENSED, "area_mu": HEAD_AREA,
    }, intake_row,
)  # fmt: skip
METERS: Final = Sheet(
    "计量设施清单", "meters", "meter",
    (METER, INTAKE, STATION, ONLINE, DIRECTION, MODULUS, MAXIMUM, FIRST, INSTALLED, READ_ON, VERIFIED_UNTIL, SHARES),
    {
        "code": METER, "meter": METER, "intake": INTAKE, "station": STATION, "sign": DIRECTION, "modulus_l": MODULUS,
        "max_l_per_hour": MAXIMUM, "first_l": FIRST, "installed_at_ns": INSTALLED,
        "verified_until_ns": VERIFIED_UNTIL, "shares": SHARES, "right": SHARES,
    }, meter_row,
)  # fmt: skip

SHEETS: Final = (CELLS, HOLDERS, LICENCES, CERTIFICATES, NETWORK_USERS, REGIONS, INTAKES, METERS)
"""In the order in which they are given to the ledger: what a row refers to stands in an earlier sheet."""
