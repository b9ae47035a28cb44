//! From text to a program: parsed by `cel`, checked and lowered here. What cannot be lowered is refused with its place.
use super::eval::{Node, Program, Two, capability};
use super::{ENDPOINT, Field, Kind, PLAIN, POOL, Scope};
use crate::types::{Capability, EndpointId, Fault, KeyPath, PlaceId, PoolId};
use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue, SelectExpr, SourceInfo, operators};
use cel::parser::Parser;
use std::ops::Range;

/// A condition that was understood.
#[derive(Debug, Clone, PartialEq)]
pub struct Lowered {
    /// The program.
    pub program: Program,
    /// Value of the expression where no field can change it.
    pub constant: Option<bool>,
}

/// Longest text; a rule is a line, not a program.
const LONGEST: usize = 2_000;
/// Hint of messages on a field that there is not.
const LISTED: &str = "`baseload policies fields` lists the fields";

/// Understands a condition.
///
/// # Errors
/// The first fault with its place.
pub fn compile(text: &str, scope: &Scope<'_>) -> Result<Lowered, Fault> {
    let whole = || 0..text.len();
    if text.trim().is_empty() {
        return Err(Fault::new("it is empty").hint("leave the key out for a rule without condition").within(whole()));
    }
    if text.len() > LONGEST {
        return Err(Fault::new(format!("it is longer than {LONGEST} bytes")).within(whole()));
    }
    let parsed = Parser::new().max_recursion_depth(48).parse_with_source_info(text);
    let (tree, info) = parsed.map_err(|e| {
        let first = e.errors.first();
        let said = first.map_or("it is no CEL expression", |e| e.msg.lines().next().unwrap_or_default());
        let said = said.strip_prefix("Syntax error: ").unwrap_or(said);
        // The parser lists all that might have stood there, some thirty things.
        let what = said.split(" expecting {").next().unwrap_or(said).replace("input '<EOF>'", "end of the text");
        let at = first.map_or(0, |e| place(text, e.pos));
        Fault::new(format!("no CEL: {what}")).within(at..(at + 1).min(text.len()).max(at))
    })?;
    let program = Program { fields: vec![], nodes: vec![], classes: scope.classes.to_vec() };
    let mut lowering = Lowering { text, info, scope, program };
    let (root, kind) = lowering.expr(&tree)?;
    if kind != Kind::Bool {
        return Err(Fault::new(format!("it is of type {}", kind.name())).hint("a condition is a bool").within(whole()));
    }
    let constant = match lowering.program.nodes[usize::from(root)] {
        Node::Const(x) => Some(x != 0.0),
        _ => None,
    };
    // Folding may leave the value in the middle.
    if usize::from(root) + 1 != lowering.program.nodes.len() {
        let node = lowering.program.nodes[usize::from(root)];
        lowering.program.nodes.push(node);
    }
    Ok(Lowered { program: lowering.program, constant })
}

/// Byte of a line and column, both from 1 and 0 as ANTLR counts.
fn place(text: &str, (line, column): (isize, isize)) -> usize {
    let start: usize = text.split_inclusive('\n').take((line.max(1) - 1) as usize).map(str::len).sum();
    let rest = &text[start.min(text.len())..];
    let within = rest.char_indices().nth(column.max(0) as usize).map_or(rest.len(), |(i, _)| i);
    (start + within).min(text.len())
}

struct Lowering<'a> {
    text: &'a str,
    info: SourceInfo,
    scope: &'a Scope<'a>,
    program: Program,
}

type Made = (u16, Kind);

impl Lowering<'_> {
    fn at(&self, e: &IdedExpr) -> Range<usize> {
        // Offsets count characters, the last one included.
        let byte = |n: usize| self.text.char_indices().nth(n).map_or(self.text.len(), |(i, _)| i);
        match self.info.offset_for(e.id) {
            Some((start, stop)) if stop >= start => byte(start as usize)..byte(stop as usize + 1),
            _ => 0..self.text.len(),
        }
    }
    /// Bytes from the first to the last part of an expression.
    fn span(&self, e: &IdedExpr) -> Range<usize> {
        let mut span = self.at(e);
        let mut widen = |part: &IdedExpr| {
            let p = self.span(part);
            span = span.start.min(p.start)..span.end.max(p.end);
        };
        match &e.expr {
            Expr::Call(call) => call.target.iter().map(|t| &**t).chain(&call.args).for_each(&mut widen),
            Expr::Select(select) => {
                widen(&select.operand);
                let field = span.end.max(span.start);
                if let Some(found) = self.text[field.min(self.text.len())..].find(&select.field) {
                    let end = field + found + select.field.len();
                    if found <= 1 {
                        span.end = span.end.max(end);
                    }
                }
            }
            _ => {}
        }
        span
    }
    fn fault<T>(&self, e: &IdedExpr, fault: Fault) -> Result<T, Fault> {
        Err(fault.within(self.span(e)))
    }

    fn node(&mut self, node: Node, kind: Kind) -> Made {
        let constant = |i: u16| match self.program.nodes[usize::from(i)] {
            Node::Const(x) => Some(x),
            _ => None,
        };
        let folded = match node {
            Node::Not(a) => constant(a).map(|a| f64::from(u8::from(a == 0.0))),
            Node::Neg(a) => constant(a).map(|a| -a),
            Node::Trunc(a) => constant(a).map(f64::trunc),
            Node::Two(two, a, b) => match (two, constant(a), constant(b)) {
                (_, Some(a), Some(b)) => Some(two.of(a, b)),
                (Two::And, Some(0.0), _) | (Two::And, _, Some(0.0)) => Some(0.0),
                (Two::Or, Some(x), _) | (Two::Or, _, Some(x)) if x != 0.0 => Some(1.0),
                _ => None,
            },
            Node::If(c, a, b) => match constant(c) {
                Some(c) => return (if c != 0.0 { a } else { b }, kind),
                None => None,
            },
            Node::Const(_) | Node::Field(_) => None,
        };
        self.program.nodes.push(folded.map_or(node, Node::Const));
        ((self.program.nodes.len() - 1) as u16, kind)
    }

    fn field(&mut self, field: Field, kind: Kind) -> Made {
        let fields = &mut self.program.fields;
        let at = fields.iter().position(|f| *f == field).unwrap_or_else(|| {
            fields.push(field);
            fields.len() - 1
        });
        self.node(Node::Field(at as u16), kind)
    }

    fn expr(&mut self, e: &IdedExpr) -> Result<Made, Fault> {
        match &e.expr {
            Expr::Literal(LiteralValue::Boolean(b)) => {
                Ok(self.node(Node::Const(f64::from(u8::from(*b.inner()))), Kind::Bool))
            }
            Expr::Literal(LiteralValue::Int(i)) => Ok(self.node(Node::Const(*i.inner() as f64), Kind::Int)),
            Expr::Literal(LiteralValue::UInt(i)) => Ok(self.node(Node::Const(*i.inner() as f64), Kind::Int)),
            Expr::Literal(LiteralValue::Double(x)) => Ok(self.node(Node::Const(*x.inner()), Kind::Double)),
            Expr::Literal(LiteralValue::String(s)) => self.fault(
                e,
                Fault::new(format!("the text \"{}\" stands alone", s.inner()))
                    .hint("texts are compared with request.class or request.needs"),
            ),
            Expr::Select(select) => self.select(e, select),
            Expr::Call(call) => self.call(e, call),
            Expr::Ident(name) => self.unknown_root(e, name),
            _ => {
                let fault = Fault::new("this part of CEL is not supported");
                self.fault(e, fault.hint("use fields, numbers, comparisons, && || ! ?: and in"))
            }
        }
    }

    fn unknown_root<T>(&self, e: &IdedExpr, name: &str) -> Result<T, Fault> {
        let roots = ["request", "pool", "pools", "endpoint", "endpoints", "time"];
        if roots.contains(&name) {
            let fault = Fault::new(format!("`{name}` is not a value by itself"));
            return self.fault(e, fault.hint(LISTED));
        }
        self.fault(e, unknown("name", name, roots))
    }

    fn select(&mut self, e: &IdedExpr, select: &SelectExpr) -> Result<Made, Fault> {
        let Some(path) = path_of(e) else {
            return self.fault(e, Fault::new("only fields are selected").hint("such as request.prompt_tokens"));
        };
        if select.test {
            return self.fault(e, Fault::new("has() is not needed").hint("every field is always there"));
        }
        match path[..] {
            ["request" | "time", _] => {
                let whole = path.join(".");
                match PLAIN.iter().find(|(name, ..)| *name == whole) {
                    Some((_, kind, _, plain)) => Ok(self.field(Field::Plain(*plain), *kind)),
                    None => {
                        let root = path[0];
                        let known = PLAIN.iter().filter_map(|f| f.0.strip_prefix(root)?.strip_prefix('.'));
                        self.fault(e, unknown(&format!("field of {root}"), path[1], known))
                    }
                }
            }
            ["pool", stat] => self.pool(e, stat, None),
            ["pools", name, stat] => {
                let at = self.named(e, "pool", name, self.scope.pools)?;
                self.pool(e, stat, Some(at))
            }
            ["endpoint", stat] => self.endpoint(e, stat, None),
            ["endpoints", name, stat] => {
                let at = self.named(e, "endpoint", name, self.scope.endpoints)?;
                self.endpoint(e, stat, Some(at))
            }
            [root, ..] if !["request", "time", "pool", "pools", "endpoint", "endpoints"].contains(&root) => {
                self.unknown_root(e, root)
            }
            _ => self.fault(e, Fault::new(format!("unknown field `{}`", path.join("."))).hint(LISTED)),
        }
    }

    fn named<I: PlaceId>(&self, e: &IdedExpr, kind: &str, name: &str, known: &[String]) -> Result<I, Fault> {
        match known.iter().position(|n| n == name) {
            Some(at) => Ok(I::nth(at)),
            None => {
                let known = known.iter().map(String::as_str);
                self.fault(e, unknown(&format!("{kind} of this policy"), name, known))
            }
        }
    }

    fn pool(&mut self, e: &IdedExpr, stat: &str, pool: Option<PoolId>) -> Result<Made, Fault> {
        match POOL.iter().find(|(name, ..)| *name == stat) {
            Some((_, kind, _, which)) => Ok(self.field(Field::Pool(*which, pool), *kind)),
            None => self.fault(e, unknown("field of a pool", stat, POOL.map(|f| f.0))),
        }
    }

    fn endpoint(&mut self, e: &IdedExpr, stat: &str, endpoint: Option<EndpointId>) -> Result<Made, Fault> {
        match ENDPOINT.iter().find(|(name, ..)| *name == stat) {
            Some((_, kind, _, which)) => Ok(self.field(Field::Endpoint(*which, endpoint), *kind)),
            None => self.fault(e, unknown("field of an endpoint", stat, ENDPOINT.map(|f| f.0))),
        }
    }

    fn call(&mut self, e: &IdedExpr, call: &CallExpr) -> Result<Made, Fault> {
        let args: Vec<&IdedExpr> = call.args.iter().collect();
        match (call.func_name.as_str(), &args[..], &call.target) {
            (operators::INDEX, [of, IdedExpr { expr: Expr::Literal(LiteralValue::String(_)), .. }], None)
                if path_of(of).is_some() =>
            {
                self.fault(e, Fault::new("its field is missing").hint("write pools[\"name\"].field"))
            }
            (operators::LOGICAL_NOT, [a], None) => {
                let a = self.of_kind(a, Kind::Bool)?;
                Ok(self.node(Node::Not(a), Kind::Bool))
            }
            (operators::NEGATE, [a], None) => {
                let (made, kind) = self.number(a)?;
                Ok(self.node(Node::Neg(made), kind))
            }
            (operators::LOGICAL_AND | operators::LOGICAL_OR, [a, b], None) => {
                let two = if call.func_name == operators::LOGICAL_AND { Two::And } else { Two::Or };
                let (a, b) = (self.of_kind(a, Kind::Bool)?, self.of_kind(b, Kind::Bool)?);
                Ok(self.node(Node::Two(two, a, b), Kind::Bool))
            }
            (operators::CONDITIONAL, [c, a, b], None) => {
                let c = self.of_kind(c, Kind::Bool)?;
                let ((made_a, kind_a), (made_b, kind_b)) = (self.expr(a)?, self.expr(b)?);
                let Some(kind) = common(kind_a, kind_b) else {
                    let what = format!("its two values are of types {} and {}", kind_a.name(), kind_b.name());
                    return self.fault(e, Fault::new(what));
                };
                Ok(self.node(Node::If(c, made_a, made_b), kind))
            }
            (operators::IN, [a, list], None) => self.among(a, list),
            (name, [a, b], None) if comparison(name).is_some() => self.compare(e, comparison(name), a, b),
            (name, [a, b], None) if arithmetic(name).is_some() => {
                let two = arithmetic(name).expect("expr: it was just found");
                let ((x, kind_x), (y, kind_y)) = (self.number(a)?, self.number(b)?);
                let whole = kind_x == Kind::Int && kind_y == Kind::Int;
                if two == Two::Rem && !whole {
                    return self.fault(e, Fault::new("% is of whole numbers"));
                }
                let made = self.node(Node::Two(two, x, y), if whole { Kind::Int } else { Kind::Double });
                Ok(if whole && two == Two::Div { self.node(Node::Trunc(made.0), Kind::Int) } else { made })
            }
            ("min" | "max", [a, b], None) => {
                let two = if call.func_name == "min" { Two::Min } else { Two::Max };
                let ((x, kind_x), (y, kind_y)) = (self.number(a)?, self.number(b)?);
                let kind = if kind_x == kind_y { kind_x } else { Kind::Double };
                Ok(self.node(Node::Two(two, x, y), kind))
            }
            ("double" | "int", [a], None) => {
                let (made, kind) = self.number(a)?;
                match (call.func_name.as_str(), kind) {
                    ("int", Kind::Double) => Ok(self.node(Node::Trunc(made), Kind::Int)),
                    ("int", _) => Ok((made, Kind::Int)),
                    _ => Ok((made, Kind::Double)),
                }
            }
            (name, ..) => {
                let fault = Fault::new(format!("`{}` is not supported", plain(name)));
                self.fault(e, fault.hint("use fields, numbers, comparisons, && || ! ?: in min() max()"))
            }
        }
    }

    fn wrong_kind<T>(&self, e: &IdedExpr, kind: Kind, wanted: &str) -> Result<T, Fault> {
        self.fault(e, Fault::new(format!("it is of type {}", kind.name())).hint(format!("here stands a {wanted}")))
    }
    fn of_kind(&mut self, e: &IdedExpr, wanted: Kind) -> Result<u16, Fault> {
        match self.expr(e)? {
            (made, kind) if kind == wanted => Ok(made),
            (_, kind) => self.wrong_kind(e, kind, wanted.name()),
        }
    }
    fn number(&mut self, e: &IdedExpr) -> Result<Made, Fault> {
        match self.expr(e)? {
            made @ (_, Kind::Int | Kind::Double) => Ok(made),
            (_, kind) => self.wrong_kind(e, kind, "number"),
        }
    }

    fn compare(&mut self, e: &IdedExpr, two: Option<Two>, a: &IdedExpr, b: &IdedExpr) -> Result<Made, Fault> {
        let two = two.expect("expr: a comparison");
        // A text takes its meaning from what it is compared with.
        let ((x, kind_x), (y, kind_y)) = match (text_of(a), text_of(b)) {
            (None, None) => (self.expr(a)?, self.expr(b)?),
            (None, Some(text)) => {
                let made = self.expr(a)?;
                (made, self.text(b, text, made.1)?)
            }
            (Some(text), None) => {
                let made = self.expr(b)?;
                (self.text(a, text, made.1)?, made)
            }
            (Some(_), Some(_)) => {
                return self.fault(e, Fault::new("two texts are compared").hint("one side is a field"));
            }
        };
        let ordered = !matches!(two, Two::Eq | Two::Ne);
        match common(kind_x, kind_y) {
            Some(kind @ (Kind::Bool | Kind::Class)) if ordered => {
                self.fault(e, Fault::new(format!("values of type {} have no order", kind.name())).hint("use == or !="))
            }
            Some(_) => Ok(self.node(Node::Two(two, x, y), Kind::Bool)),
            None => self.fault(e, Fault::new(format!("{} is compared with {}", kind_x.name(), kind_y.name()))),
        }
    }

    /// The number that stands for a text where a value of this kind is meant.
    fn text(&mut self, e: &IdedExpr, text: &str, kind: Kind) -> Result<Made, Fault> {
        let value = match kind {
            Kind::Class => match self.scope.classes.iter().position(|c| c == text) {
                Some(at) => at as f64,
                None => {
                    let known = self.scope.classes.iter().map(String::as_str);
                    return self.fault(e, unknown("class", text, known));
                }
            },
            Kind::Needs => match text {
                "small" => capability(Capability::Small),
                "mid" => capability(Capability::Mid),
                "frontier" => capability(Capability::Frontier),
                _ => return self.fault(e, unknown("capability", text, ["small", "mid", "frontier"])),
            },
            _ => {
                let what = format!("a text is compared with a value of type {}", kind.name());
                return self.fault(e, Fault::new(what));
            }
        };
        Ok(self.node(Node::Const(value), kind))
    }

    fn among(&mut self, a: &IdedExpr, list: &IdedExpr) -> Result<Made, Fault> {
        let Expr::List(elements) = &list.expr else {
            return self.fault(list, Fault::new("`in` takes a list").hint("such as [\"a\", \"b\"]"));
        };
        let (value, kind) = self.expr(a)?;
        let mut any = self.node(Node::Const(0.0), Kind::Bool).0;
        for element in &elements.elements {
            let (one, of) = match text_of(element) {
                Some(text) => self.text(element, text, kind)?,
                None => self.expr(element)?,
            };
            if common(kind, of).is_none() {
                let what = format!("{} is looked for among {}", kind.name(), of.name());
                return self.fault(element, Fault::new(what));
            }
            let same = self.node(Node::Two(Two::Eq, value, one), Kind::Bool).0;
            any = self.node(Node::Two(Two::Or, any, same), Kind::Bool).0;
        }
        Ok((any, Kind::Bool))
    }
}

fn text_of(e: &IdedExpr) -> Option<&str> {
    match &e.expr {
        Expr::Literal(LiteralValue::String(s)) => Some(s.inner()),
        _ => None,
    }
}

/// `a.b.c` and `a["b"].c` as names.
fn path_of(e: &IdedExpr) -> Option<Vec<&str>> {
    match &e.expr {
        Expr::Ident(name) => Some(vec![name]),
        Expr::Select(select) => {
            let mut path = path_of(&select.operand)?;
            path.push(&select.field);
            Some(path)
        }
        Expr::Call(call) if call.func_name == operators::INDEX => {
            let [of, at] = &call.args[..] else { return None };
            let mut path = path_of(of)?;
            path.push(text_of(at)?);
            Some(path)
        }
        _ => None,
    }
}

/// The type that both can have.
fn common(a: Kind, b: Kind) -> Option<Kind> {
    match (a, b) {
        _ if a == b => Some(a),
        (Kind::Int | Kind::Double, Kind::Int | Kind::Double) => Some(Kind::Double),
        _ => None,
    }
}

fn comparison(name: &str) -> Option<Two> {
    Some(match name {
        operators::EQUALS => Two::Eq,
        operators::NOT_EQUALS => Two::Ne,
        operators::LESS => Two::Lt,
        operators::LESS_EQUALS => Two::Le,
        operators::GREATER => Two::Gt,
        operators::GREATER_EQUALS => Two::Ge,
        _ => return None,
    })
}

fn arithmetic(name: &str) -> Option<Two> {
    Some(match name {
        operators::ADD => Two::Add,
        operators::SUBSTRACT => Two::Sub,
        operators::MULTIPLY => Two::Mul,
        operators::DIVIDE => Two::Div,
        operators::MODULO => Two::Rem,
        _ => return None,
    })
}

/// An operator as people write it.
fn plain(name: &str) -> &str {
    name.trim_matches(['_', '@'])
}

fn unknown<'a>(kind: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Fault {
    Fault::unknown(KeyPath::default(), kind, name, known)
}
