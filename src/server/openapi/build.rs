//! Builder for one operation of the description; its calls follow the reading order.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{
    HttpMethod, Operation, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
    ParameterStyle,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    AllOfBuilder, ArrayBuilder, Object, ObjectBuilder, OneOfBuilder, Ref, Schema, Type,
};
use utoipa::openapi::security::SecurityRequirement;
use utoipa::openapi::{ContentBuilder, RefOr, Required, Response, ResponseBuilder};

use super::problems;
use crate::error::{Hint, ProblemCode};

/// Creates a text in both languages.
pub(super) const fn says(en: &'static str, zh: &'static str) -> Hint {
    Hint::fixed(en, zh)
}

/// The groups of the description, in its order.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    /// Signatures for pages.
    Signing,
    /// What a browser loads.
    Pages,
    /// Credentials for other servers.
    Credentials,
    /// WeChat's own paths.
    DropIn,
    /// Why a signature is refused.
    Diagnosis,
    /// Liveness, readiness, this description.
    Operations,
    /// Only with `--sandbox`.
    Sandbox,
}

/// The listener that serves a route.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Plane {
    Public,
    Private,
    Both,
}

/// A component: a schema with its name.
pub(super) type Named = (String, RefOr<Schema>);

/// One operation under construction.
pub(super) struct Route {
    pub(super) method: HttpMethod,
    pub(super) path: &'static str,
    pub(super) plane: Plane,
    pub(super) group: Group,
    pub(super) schemas: Vec<Named>,
    operation: OperationBuilder,
    texts: BTreeMap<&'static str, Value>,
    problems: Vec<ProblemCode>,
}

impl Route {
    fn new(
        method: HttpMethod,
        place: (Plane, Group),
        path: &'static str,
        id: &'static str,
        summary: Hint,
    ) -> Self {
        let operation = OperationBuilder::new()
            .operation_id(Some(id))
            .summary(Some(summary.en));
        let texts = BTreeMap::from([("x-summary-zh", summary.zh.into())]);
        let (plane, group) = place;
        Self {
            method,
            path,
            plane,
            group,
            schemas: Vec::new(),
            operation,
            texts,
            problems: Vec::new(),
        }
    }

    pub(super) fn get(
        place: (Plane, Group),
        path: &'static str,
        id: &'static str,
        summary: Hint,
    ) -> Self {
        Self::new(HttpMethod::Get, place, path, id, summary)
    }

    pub(super) fn post(
        place: (Plane, Group),
        path: &'static str,
        id: &'static str,
        summary: Hint,
    ) -> Self {
        Self::new(HttpMethod::Post, place, path, id, summary)
    }

    /// Adds a description below the summary.
    pub(super) fn about(mut self, text: Hint) -> Self {
        self.operation = self.operation.description(Some(text.en));
        self.texts.insert("x-description-zh", text.zh.into());
        self
    }

    pub(super) fn with(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Self {
        self.operation = self.operation.parameters(Some(parameters));
        self
    }

    /// Declares a JSON body of type `T`.
    pub(super) fn takes<T: ToSchema>(mut self, example: Value) -> Self {
        let schema = self.component::<T>();
        let content = ContentBuilder::new()
            .schema(Some(schema))
            .example(Some(example))
            .build();
        let body = RequestBodyBuilder::new()
            .content("application/json", content)
            .required(Some(Required::True));
        self.operation = self.operation.request_body(Some(body.build()));
        self
    }

    /// Declares a JSON body that has no type of its own.
    pub(super) fn takes_object(mut self, schema: Object, example: Value) -> Self {
        let content = ContentBuilder::new()
            .schema(Some(schema))
            .example(Some(example))
            .build();
        let body = RequestBodyBuilder::new()
            .content("application/json", content)
            .required(Some(Required::True));
        self.operation = self.operation.request_body(Some(body.build()));
        self
    }

    /// Declares a JSON answer of type `T`.
    pub(super) fn gives<T: ToSchema>(
        mut self,
        status: &'static str,
        what: Hint,
        example: Value,
    ) -> Self {
        let schema = self.component::<T>();
        let content = ContentBuilder::new()
            .schema(Some(schema))
            .example(Some(example))
            .build();
        self.answer(status, what, "application/json", content)
    }

    /// Declares a JSON answer of type `T` or `U`.
    pub(super) fn gives_either<T: ToSchema, U: ToSchema>(
        mut self,
        what: Hint,
        example: Value,
    ) -> Self {
        let (one, other) = (self.component::<T>(), self.component::<U>());
        let schema = OneOfBuilder::new().item(one).item(other);
        let content = ContentBuilder::new()
            .schema(Some(schema))
            .example(Some(example))
            .build();
        self.answer("200", what, "application/json", content)
    }

    /// Declares a JSON answer that has no type of its own.
    pub(super) fn gives_object(self, what: Hint, schema: Object, example: Value) -> Self {
        let content = ContentBuilder::new()
            .schema(Some(schema))
            .example(Some(example))
            .build();
        self.answer("200", what, "application/json", content)
    }

    /// Declares a JSON answer with another status and no fixed shape.
    pub(super) fn gives_object_at(self, status: &'static str, what: Hint) -> Self {
        let content = ContentBuilder::new()
            .schema(Some(ObjectBuilder::new().schema_type(Type::Object)))
            .build();
        self.answer(status, what, "application/json", content)
    }

    /// Declares a JSON answer with a `Retry-After` header.
    pub(super) fn gives_later<T: ToSchema>(
        mut self,
        status: &'static str,
        what: Hint,
        example: Value,
    ) -> Self {
        let schema = self.component::<T>();
        let content = ContentBuilder::new()
            .schema(Some(schema))
            .example(Some(example))
            .build();
        let response = retry_after(described(what).content("application/json", content)).build();
        self.operation = self.operation.response(status, response);
        self
    }

    /// Declares a text answer of a media type.
    pub(super) fn gives_text(
        self,
        status: &'static str,
        what: Hint,
        media_type: &'static str,
    ) -> Self {
        let content = ContentBuilder::new().schema(Some(string())).build();
        self.answer(status, what, media_type, content)
    }

    /// Declares an answer without a body.
    pub(super) fn gives_nothing(mut self, status: &'static str, what: Hint) -> Self {
        self.operation = self.operation.response(status, described(what).build());
        self
    }

    fn answer(
        mut self,
        status: &'static str,
        what: Hint,
        media_type: &'static str,
        content: utoipa::openapi::Content,
    ) -> Self {
        self.operation = self
            .operation
            .response(status, described(what).content(media_type, content).build());
        self
    }

    /// Requires an API key; adds the problems of a missing key and of one that lacks access.
    pub(super) fn keyed(mut self) -> Self {
        for scheme in ["bearer", "apiKey"] {
            self.operation = self
                .operation
                .security(SecurityRequirement::new(scheme, Vec::<String>::new()));
        }
        self.refuses(&["unauthorized", "forbidden", "locked_out"])
    }

    /// Adds problems by code.
    pub(super) fn refuses(mut self, codes: &[&'static str]) -> Self {
        self.problems
            .extend(codes.iter().map(|code| problems::named(code)));
        self
    }

    fn component<T: ToSchema>(&mut self) -> RefOr<Schema> {
        T::schemas(&mut self.schemas);
        self.schemas.push((T::name().into_owned(), T::schema()));
        Ref::from_schema_name(T::name()).into()
    }

    /// Builds the operation.
    pub(super) fn finish(mut self) -> Operation {
        if self.plane != Plane::Public {
            // The admin listener rejects requests from pages of other sites on every route.
            self.problems
                .extend([ProblemCode::ForeignHost, ProblemCode::CrossSite]);
        }
        let mut by_status: BTreeMap<u16, Vec<ProblemCode>> = BTreeMap::new();
        for problem in self.problems {
            let those = by_status.entry(problem.status()).or_default();
            if !those.contains(&problem) {
                those.push(problem);
            }
        }
        for (status, problems) in by_status {
            self.operation = self
                .operation
                .response(status.to_string(), refusal(status, &problems));
        }
        self.operation
            .tag(self.group.name())
            .extensions(Some(self.texts.into_iter().collect()))
            .build()
    }
}

impl Group {
    pub(super) const ALL: [Self; 7] = [
        Self::Signing,
        Self::Pages,
        Self::Credentials,
        Self::DropIn,
        Self::Diagnosis,
        Self::Operations,
        Self::Sandbox,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Signing => "signing",
            Self::Pages => "pages",
            Self::Credentials => "credentials",
            Self::DropIn => "drop-in",
            Self::Diagnosis => "diagnosis",
            Self::Operations => "operations",
            Self::Sandbox => "sandbox",
        }
    }

    pub(super) fn about(self) -> Hint {
        match self {
            Self::Signing => says("Signatures for pages", "页面签名"),
            Self::Pages => says("The demo page and its files", "演示页面及其文件"),
            Self::Credentials => says(
                "Tokens and tickets for clients with an API key",
                "供公司其他服务器使用的 token 与 ticket",
            ),
            Self::DropIn => says(
                "WeChat's and WeCom's own paths and formats, with an API key in place of the secret",
                "微信与企业微信的原有路径与格式，用 API key 代替 secret",
            ),
            Self::Diagnosis => says("Why a signature is refused", "签名为何被拒绝"),
            Self::Operations => says(
                "Status, readiness, metrics, this description",
                "运行状态、就绪、指标与本接口说明",
            ),
            Self::Sandbox => says("Only with serve --sandbox", "仅在 serve --sandbox 时提供"),
        }
    }
}

/// Builds one status with all its codes, each with an example.
fn refusal(status: u16, codes_of: &[ProblemCode]) -> Response {
    let codes: Vec<&str> = codes_of.iter().map(|problem| problem.as_str()).collect();
    let lines = |text: fn(Hint) -> Cow<'static, str>| {
        codes_of
            .iter()
            .map(|problem| format!("`{problem}`: {}", text(problem.meaning())))
            .collect::<Vec<_>>()
            .join("\n\n")
    };
    let narrowed = ObjectBuilder::new()
        .property(
            "code",
            ObjectBuilder::new()
                .schema_type(Type::String)
                .enum_values(Some(codes)),
        )
        .property(
            "status",
            ObjectBuilder::new()
                .schema_type(Type::Integer)
                .enum_values(Some([status])),
        );
    let schema = AllOfBuilder::new()
        .item(Ref::from_schema_name("Problem"))
        .item(narrowed);
    let examples = codes_of.iter().map(|problem| {
        (
            problem.as_str(),
            ExampleBuilder::new().value(Some(problems::example(*problem))),
        )
    });
    let content = ContentBuilder::new()
        .schema(Some(schema))
        .examples_from_iter(examples)
        .build();
    let zh: Extensions = [("x-description-zh", lines(|text| text.zh))]
        .into_iter()
        .collect();
    let mut response = ResponseBuilder::new()
        .description(lines(|text| text.en))
        .extensions(Some(zh));
    if matches!(status, 429 | 503) {
        response = retry_after(response);
    }
    response
        .content("application/problem+json", content)
        .build()
}

fn retry_after(response: ResponseBuilder) -> ResponseBuilder {
    let seconds = ObjectBuilder::new()
        .schema_type(Type::Integer)
        .minimum(Some(1))
        .build();
    let header = HeaderBuilder::new()
        .schema(Some(seconds))
        .description(Some("Seconds to wait before the next request"));
    response.header("Retry-After", header.build())
}

fn described(what: Hint) -> ResponseBuilder {
    let zh: Extensions = [("x-description-zh", what.zh.into_owned())]
        .into_iter()
        .collect();
    ResponseBuilder::new()
        .description(what.en)
        .extensions(Some(zh))
}

/// A string schema.
pub(super) fn string() -> Object {
    ObjectBuilder::new().schema_type(Type::String).build()
}

/// A string schema with a maximum length in characters.
pub(super) fn text_up_to(length: usize) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .max_length(Some(length))
        .build()
}

/// A string schema with these values only.
pub(super) fn one_of<'a>(values: impl IntoIterator<Item = &'a str>) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .enum_values(Some(values))
        .build()
}

/// An optional query parameter.
pub(super) fn query(name: &str, what: Hint, schema: Object, example: &str) -> Parameter {
    parameter(ParameterIn::Query, name, what, schema, example).build()
}

/// A required query parameter.
pub(super) fn needed(name: &str, what: Hint, schema: Object, example: &str) -> Parameter {
    parameter(ParameterIn::Query, name, what, schema, example)
        .required(Required::True)
        .build()
}

/// A path parameter.
pub(super) fn in_path(name: &str, what: Hint, schema: Object, example: &str) -> Parameter {
    parameter(ParameterIn::Path, name, what, schema, example)
        .required(Required::True)
        .build()
}

/// A required header.
pub(super) fn in_header(name: &str, what: Hint, schema: Object, example: &str) -> Parameter {
    parameter(ParameterIn::Header, name, what, schema, example)
        .required(Required::True)
        .build()
}

/// A query parameter with a comma-separated list.
pub(super) fn list(
    name: &str,
    what: Hint,
    item: Object,
    most: usize,
    example: &[&str],
) -> Parameter {
    let zh: Extensions = [("x-description-zh", what.zh.into_owned())]
        .into_iter()
        .collect();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(Some(what.en))
        .schema(Some(ArrayBuilder::new().items(item).max_items(Some(most))))
        .style(Some(ParameterStyle::Form))
        .explode(Some(false))
        .example(Some(json!(example)))
        .extensions(Some(zh))
        .build()
}

fn parameter(
    place: ParameterIn,
    name: &str,
    what: Hint,
    schema: Object,
    example: &str,
) -> ParameterBuilder {
    let zh: Extensions = [("x-description-zh", what.zh.into_owned())]
        .into_iter()
        .collect();
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(Required::False)
        .description(Some(what.en))
        .schema(Some(schema))
        .example(Some(example.into()))
        .extensions(Some(zh))
}
