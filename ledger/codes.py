"""Every reason for a refusal: one stable code a cause, in a numbered range by concern, with its text in both languages.

A number once given keeps its meaning for ever: it stands in facts. 1-99 belong to the order book
(`matching.Reason`), whose texts are given here as well, so that there is one catalogue.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any, Final, Self

from matching.types import Reason


class Code(IntEnum):
    """A reason that the ledger or its surroundings give. `en` and `zh` say it to a person."""

    en: str
    zh: str

    def __new__(cls, number: int, en: str, zh: str) -> Self:
        """A member carries its two texts beside its number."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.en, member.zh = en, zh
        return member

    # 100-199 submissions
    WRONG_TYPE = 100, "the value has the wrong type", "数据类型不符"
    COMMAND_ID_REUSED = 101, "this command id was used before with other content", "指令编号已用于其他内容"
    NOT_AUTHORISED = 102, "this role may not give this command", "该角色无权提交此指令"
    NEEDS_APPROVER = 103, "this act needs an approver who is not its proposer", "此事项须由提出人以外的人员批准"
    BATCH_TOO_LARGE = 104, "the batch is larger than a submission may be", "单次提交数量超限"
    OUT_OF_RANGE = 105, "the value is outside its limits", "数值超出允许范围"
    EMPTY = 106, "the value must not be empty", "内容不得为空"
    CLIENT_ORDER_ID_NOT_RISING = 107, "client order ids of an actor must rise", "客户委托编号必须递增"
    ALREADY_EXISTS = 108, "this code is registered already", "编号已登记"
    UNKNOWN_PARTY = 110, "no such holder", "用水权持有人不存在"
    UNKNOWN_RIGHT = 111, "no such right", "用水权不存在"
    UNKNOWN_INTAKE = 112, "no such intake", "取水口不存在"
    UNKNOWN_METER = 113, "no such meter", "计量设施不存在"
    UNKNOWN_INSTRUMENT = 114, "no such instrument", "交易品种不存在"
    UNKNOWN_CELL = 115, "no such cell of the allocation", "分配单元不存在"
    UNKNOWN_NAME = 116, "the policy does not know this name", "政策文件中无此名称"
    LINKED_REFUSED = 119, "refused because a linked command was refused", "因关联指令被拒而整体撤回"
    # 200-299 who may trade, and when
    MARKET_CLOSED = 200, "the instrument is outside its session or not open", "非交易时段或品种未开市"
    MODE_NOT_APPROVED = 201, "no document opens this trading mode", "该交易方式未经批准"
    WRONG_UNIT = 202, "the right is of another source or year than the instrument", "用水权与品种的水源或年度不符"
    NOT_YOUR_RIGHT = 203, "the right belongs to somebody else", "非本人用水权"
    PARTY_SUSPENDED = 204, "the holder is suspended", "持有人已被暂停交易"
    RIGHT_EXPIRED = 205, "the right has ended", "用水权已到期"
    OVER_USE = 206, "the holder has used more than his right", "持有人存在超用水量"
    METERING_NOT_WORKING = 207, "the right has no working meter", "用水权无有效计量设施"
    TAX_OVERDUE = 208, "water-resource tax is overdue", "欠缴水资源税费"
    CLASS_EXCLUDED = 209, "this class of holder may not sell", "该类持有人不得转让"
    PRICE_OUTSIDE_BAND = 210, "the price is outside the band around the reference", "价格超出参考价区间"
    ZONES_NOT_PERMITTED = 211, "trade between these zones is not permitted", "交易分区之间不允许流转"
    HEADROOM_EXHAUSTED = 212, "the headroom between these zones is used up", "交易分区之间可流转水量已用尽"
    HOLDER_HALTED = 213, "an emergency measure halts this holder, zone or instrument", "应急调度暂停交易"
    SELF_AGREEMENT = 214, "buyer and seller are the same holder", "买卖双方为同一持有人"
    BUYER_BANNED = 215, "this industry may not buy water", "禁止受让的行业"
    # 300-399 water and money to cover an act
    NOT_ENOUGH_WATER = 300, "not enough free water in the right", "可用水量不足"
    NOTHING_SAVED = 301, "a licence holder sells only verified saved water", "取水户仅可转让经核定的节约水量"
    BASIC_NEED = 302, "the sale would go below the basic need", "转让将突破基本用水保障"
    NOT_ENOUGH_MONEY = 303, "not enough money on deposit", "保证金余额不足"
    WITHDRAWN_FOR_USE = 304, "the offer was withdrawn because its water was used", "水量已被取用，挂单撤回"
    WITHDRAWN_INELIGIBLE = (
        305,
        "the order was withdrawn because its holder may no longer trade",
        "持有人丧失资格，挂单撤回",
    )
    NOT_RESOLD = 306, "bought water may not be sold on", "受让的水量不得再次转让"
    # 400-499 allocation
    ABOVE_INDEX = 400, "the cap's index would be exceeded", "将超出用水总量控制指标"
    CELL_EXHAUSTED = 401, "the cell has not enough water left", "分配单元剩余水量不足"
    DISTRICT_EXHAUSTED = 402, "the district's index has not enough water left", "区域指标剩余水量不足"
    ABOVE_VERIFIED = 403, "the right would exceed the verified volume", "超出核定水量"
    SAVING_ABOVE_RIGHT = 404, "the saving would exceed the issued right", "节约水量超出用水权"
    TERM_NOT_COVERING = 405, "the year lies outside the term of the right", "年度不在用水权有效期内"
    # 500-599 readings
    DUPLICATE_READING = 500, "this reading is recorded already", "重复读数"
    VALUE_MISSING = 501, "the meter reported no value", "读数缺失"
    LATE_READING = 502, "older than the last reading: kept, books nothing", "迟到读数，仅存档"
    READING_TOO_LATE = 503, "more than 30 days late", "迟报超过30天"
    CLOCK_AHEAD = 504, "measured in the future", "计量时间超前"
    STEP_BACK = 505, "the register went back and did not wrap: held for review", "读数回退，待核查"
    RATE_TOO_HIGH = 506, "more water than the meter can pass: held for review", "读数增幅超过最大取水能力，待核查"
    BEYOND_MODULUS = 507, "the value is larger than the register can show", "读数超出计量器具量程"
    WRAPPED = 508, "the register wrapped past its modulus and was accepted", "计数器翻转，已接受"
    # 600-699 register import
    FILE_UNREADABLE = 600, "the file cannot be read", "文件无法读取"
    COLUMN_MISSING = 601, "a required column is missing", "缺少必填列"
    CELL_EMPTY = 602, "a required cell is empty", "必填单元格为空"
    NOT_A_NUMBER = 603, "the cell is not a number", "单元格不是数字"
    NOT_A_DATE = 604, "the cell is not a date", "单元格不是日期"
    CREDIT_CODE_INVALID = 605, "the credit code's check character is wrong", "统一社会信用代码校验不符"
    ROW_DUPLICATE = 606, "the key stands in an earlier row", "编号与前行重复"
    REFERENCE_UNKNOWN = 607, "the row refers to something that is not in the register", "引用的编号不存在"
    UNIT_UNKNOWN = 608, "the unit of the column is not known", "列的计量单位无法识别"
    # 700-799 frames
    FRAME_TRUNCATED = 700, "the frame ends too early", "报文不完整"
    FRAME_MARK = 701, "a start or end mark is wrong", "报文起止标志错误"
    FRAME_CHECKSUM = 702, "the checksum does not match", "报文校验错误"
    FRAME_LENGTH = 703, "the length field does not fit the frame", "报文长度与长度域不符"
    FRAME_BCD = 704, "a nibble is not a decimal digit", "BCD码错误"
    FRAME_FUNCTION = 705, "this function is not handled", "不支持的功能码"
    FRAME_TIME = 706, "the time stamp is not a time", "报文时标错误"
    FRAME_ADDRESS = 707, "the address is not one of a station", "站址错误"
    FRAME_HEX = 708, "the text is not hexadecimal", "不是十六进制文本"
    # 800-899 the store
    LEDGER_LOCKED = 800, "another process writes to this ledger", "账本已被其他进程占用"
    LEDGER_MISSING = 801, "there is no ledger here", "账本不存在"
    RECORD_DAMAGED = 802, "a record does not match its hash", "记录与哈希不符"
    SEQUENCE_GAP = 803, "the facts are not numbered densely", "事实编号不连续"
    TOPIC_UNKNOWN = 804, "this fact's topic or version is not known", "未知的事实类型或版本"
    COMMIT_FAILED = (
        805,
        "the commit failed or its outcome is unknown; reopen the ledger",
        "提交失败或结果未知，请重新打开账本",
    )
    LEDGER_CLOSED = 806, "the ledger is closed", "账本已关闭"
    STORE_NOT_OURS = 807, "the file is not a ledger of this program", "不是本系统的账本文件"
    CONSERVATION_BROKEN = 808, "the accounts do not sum to zero", "账户合计不为零"
    LOOKUP_DIFFERS = (
        809,
        "a table for look-up does not say what the records say; restore it from a backup",
        "检索表与记录不符，请由备份恢复",
    )
    CHECKPOINT_DIFFERS = 820, "the journal is not the one that a checkpoint sealed", "账本与检查点不符"
    JOURNAL_SHORTER = 821, "the journal is shorter than a checkpoint says", "账本短于检查点所载"
    CHECKPOINT_FORKED = 822, "two checkpoints contradict each other", "检查点相互矛盾，账本分叉"
    NOT_CONSISTENT = 823, "nothing proves that this checkpoint continues the one before", "无法证明检查点前后一致"
    SIGNATURE_INVALID = 824, "no valid signature by this key", "签名无效"
    KEY_INVALID = 825, "this is no usable key", "密钥无效"
    NOTE_MALFORMED = 826, "this is no checkpoint or receipt of ours", "检查点或回执格式不符"
    PROOF_INVALID = 827, "the file does not prove that the fact is in the checkpoint", "证明文件无效"
    RECEIPT_OMITTED = 828, "a submission with a receipt is not in the journal", "已出具回执的提交未入账"
    RECEIPT_DIFFERS = 829, "the submission is recorded otherwise than its receipt says", "入账内容与回执不符"
    NOT_RECORDED = 830, "nothing of that kind is recorded here", "账本中无此记录"
    SINK_FAILED = 831, "the sink did not take the checkpoint", "检查点存放失败"
    FILE_NOT_WRITTEN = 832, "the file could not be written", "文件无法写入"
    FACT_IMPOSSIBLE = 833, "a fact does not follow from those before it", "事实与此前各项事实不符"
    OUTCOME_DIFFERS = 834, "deciding again comes to another outcome", "重新裁定的结果与记录不符"
    REPORT_INVALID = 835, "the evidence file does not prove what it says", "证据文件无效"
    SERVER_UNREACHABLE = 840, "the database server cannot be reached", "无法连接数据库服务器"
    LOGIN_REFUSED = 841, "the database server refused the login, or a grant is missing", "数据库拒绝登录或缺少授权"
    DATABASE_MISSING = 842, "the server has no such database", "服务器上没有此数据库"
    ENCODING_NOT_UTF8 = 843, "the database does not keep text as UTF-8", "数据库编码不是UTF-8"
    LAYOUT_UNKNOWN = (
        844,
        "the tables are of another version of this program: `shuiquan export` there, `shuiquan journal import` here",
        "数据表版本与本程序不符，请以原版本导出、以本版本导入",
    )
    NOT_DURABLE = 845, "the server may lose what it has committed", "服务器未启用持久化，提交后仍可能丢失"
    ADDRESS_INVALID = 846, "this is no address of a ledger", "账本地址无效"
    FILES_UNUSABLE = 847, "the folder for the files beside the ledger cannot be made", "无法创建账本附属文件目录"
    SERVER_READS_ONLY = 848, "the server takes no writes", "服务器只读，不接受写入"
    SNAPSHOT_UNUSABLE = (
        850,
        "the snapshot is damaged, foreign or of another version",
        "快照损坏、不属于本账本或版本不符",
    )
    LEDGER_RESTORED = (
        851,
        "the ledger was restored from a backup; it needs a fork to go on",
        "账本由备份恢复，须先登记分叉",
    )
    LEDGER_OLDER = (
        852,
        "the ledger is older than what is known of it; put the newer one back, or fork it",
        "账本早于已知进度，请恢复较新的账本，或登记分叉",
    )
    NO_FORK_DUE = 853, "the ledger is no restored or older copy", "账本并非恢复的或较早的副本，无须分叉"
    WOULD_OVERWRITE = 854, "the file exists already", "文件已存在，不得覆盖"
    HEAD_DIFFERS = 855, "the journal does not hold the record of this checkpoint", "账本与给定的检查点不符"
    SNAPSHOT_NOT_WRITTEN = 856, "the snapshot could not be written", "快照无法写入"
    COPY_FAILED = 857, "the copy could not be made", "备份或恢复未能完成"
    NO_SUCH_FACT = 860, "there is no fact with this number", "没有此编号的事实"
    NOT_YET = 861, "the ledger did not exist yet at that time", "该时点账本尚未建立"
    TIME_UNREADABLE = 862, "the text is not a date or a time", "时间格式无法识别"
    EXPORT_EXISTS = 863, "something is in the place of the export already", "导出目录已有内容"
    EXPORT_DAMAGED = 864, "the export is not what its manifest says", "导出文件与清单不符"
    LEDGER_EXISTS = 865, "there is a ledger here already", "账本已存在"
    EXPORT_FAILED = 866, "the export could not be written; nothing of it is left", "导出失败，未留下任何文件"
    QUEUE_FULL = 870, "too much waits for the writer", "待处理提交过多"
    DISK_NEARLY_FULL = 871, "the disk is nearly full: nothing is accepted until there is room", "磁盘空间不足，暂停受理"
    CONNECTION_LOST = (
        872,
        "the connection to the writer broke, so the outcome is unknown; connect again and repeat the same command ids",
        "与写入进程的连接中断，提交结果未知；请重新连接并以相同指令编号再次提交",
    )
    NOT_SERVED = 873, "nobody serves this ledger; start `shuiquan serve`", "账本未开放服务，请先运行 shuiquan serve"
    SOCKET_UNUSABLE = 874, "no socket can be made or reached at this path", "无法在此路径建立或访问套接字"
    PROTOCOL_DIFFERS = 875, "client and server speak different versions of the protocol", "客户端与服务端协议版本不同"
    MESSAGE_TOO_LARGE = 876, "the message is larger than one may be", "报文长度超限"
    MESSAGE_MALFORMED = 877, "the bytes are no message of the protocol", "字节不符合通信协议"
    LEDGER_DIFFERS = 878, "another ledger is served here", "此处服务的是另一账本"
    TOO_MANY_CLIENTS = 879, "as many clients are connected as may be", "客户端连接数已达上限"
    STORE_FAILED = 880, "the file system failed a file of the ledger", "账本文件读写失败"
    STORE_DAMAGED = 881, "the database file is damaged", "账本数据库文件已损坏"
    # 900-999 policy
    POLICY_INVALID = 900, "the policy file breaks a rule", "政策文件不合规"
    POLICY_DIFFERS = (
        901,
        "the ledger was made with another policy; submit the change as an event",
        "账本政策不同，变更须作为事件提交",
    )
    POLICY_FLOAT = 902, "a policy figure must be an integer or a decimal string", "政策数值须为整数或十进制文本"
    EXTRA_MISSING = 903, "an optional package is not installed", "缺少可选组件"


REASON_TEXT: Final[dict[Reason, tuple[str, str]]] = {
    Reason.NONE: ("done", "已受理"),
    Reason.UNKNOWN_ACTION: ("unknown action", "未知操作"),
    Reason.UNKNOWN_SIDE: ("unknown side", "未知买卖方向"),
    Reason.UNKNOWN_ORDER_TYPE: ("unknown order type", "未知委托类型"),
    Reason.UNKNOWN_TIME_IN_FORCE: ("unknown time in force", "未知有效期类型"),
    Reason.UNKNOWN_SELF_TRADE: ("unknown self-trade mode", "未知自成交处理方式"),
    Reason.UNKNOWN_ZONE: ("unknown zone", "未知交易分区"),
    Reason.QUANTITY_NOT_POSITIVE: ("the quantity must be positive", "数量必须为正"),
    Reason.QUANTITY_TOO_LARGE: ("the quantity is above the limit of an order", "数量超出单笔上限"),
    Reason.PRICE_OUTSIDE_BOOK: ("the price is outside the book", "价格超出报价范围"),
    Reason.EXPIRY_MISSING: ("good-till-date needs a date", "缺少有效截止时间"),
    Reason.EXPIRY_UNEXPECTED: ("only good-till-date takes a date", "此有效期类型不带截止时间"),
    Reason.BOOK_FULL: ("the book is full", "订单簿已满"),
    Reason.ORDER_ID_NOT_RISING: ("order ids must rise", "委托编号必须递增"),
    Reason.UNKNOWN_ORDER: ("no such live order", "委托不存在或已失效"),
    Reason.FOREIGN_ORDER: ("the order belongs to somebody else", "非本人委托"),
    Reason.MARKET_MUST_BE_IMMEDIATE: ("a market order must be IOC or FOK", "市价委托须为IOC或FOK"),
    Reason.POST_ONLY_MUST_REST: ("post-only needs an order that may rest", "只挂单委托不得为即时委托"),
    Reason.POST_ONLY_WOULD_TRADE: ("a post-only order would trade at once", "只挂单委托将立即成交"),
    Reason.FOK_WITH_DECREMENT: ("fill-or-kill does not go with decrement", "FOK不适用递减方式"),
    Reason.FOK_NOT_FILLABLE: ("the whole quantity cannot be filled", "无法全部成交"),
    Reason.NOT_IN_AUCTION: ("not while an auction collects orders", "集合竞价期间不接受此类委托"),
    Reason.CANCELLED_BY_OWNER: ("cancelled by its owner", "委托人撤单"),
    Reason.REDUCED_BY_OWNER: ("reduced by its owner", "委托人减量"),
    Reason.IMMEDIATE_REMAINDER: ("the unfilled rest of an immediate order", "即时委托剩余撤销"),
    Reason.SELF_TRADE: ("it would trade with its own holder", "防止自成交"),
    Reason.EXPIRED: ("its time ran out", "委托到期"),
    Reason.DAY_ENDED: ("the session ended", "交易时段结束"),
    Reason.BUDGET_SPENT: ("the money given for it is spent", "限定金额已用完"),
}


def reason(number: int) -> Reason | Code:
    """The member behind a code that stands in a fact. Raises ValueError for a number nobody gave."""
    return Reason(number) if number < Code.WRONG_TYPE else Code(number)  # type: ignore[call-arg] # a value is looked up


def texts(number: int) -> tuple[str, str]:
    """English and Chinese text of a code."""
    member = reason(number)
    return REASON_TEXT[member] if isinstance(member, Reason) else (member.en, member.zh)


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not a failure of the program
    """Input or an act that a rule forbids. Carries what a caller needs to mend it; nothing has changed.

    `code` is the stable reason, `field` names what was wrong, `value` what stood there, `rule` what is allowed.
    """

    def __init__(self, code: Code | Reason, field: str, value: Any, rule: str = "") -> None:
        """A refusal of `value` in `field`."""
        self.code, self.field, self.value, self.rule = code, field, value, rule
        english, chinese = texts(code)
        shown = repr(value)
        shown = shown if len(shown) <= 80 else shown[:77] + "..."  # noqa: PLR2004
        super().__init__(
            f"[{int(code)}] {code.name} {field}={shown}: {english}{f' ({rule})' if rule else ''} / {chinese}"
        )
