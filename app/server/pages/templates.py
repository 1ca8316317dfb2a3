"""The templates of the pages. `site` imports this module at the first request, so that no start waits for Jinja."""

from graphql import GraphQLArgument, GraphQLInputField, GraphQLSchema, GraphQLType, get_named_type, print_ast
from graphql.utilities import get_default_value_ast
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from app.server.pages import PAGES
from app.server.pages.reference import reference

_markdown = MarkdownIt("commonmark", {"html": False}).disable("image")


def landing_page(content: dict[str, object]) -> str:
    return _environment.get_template("landing.html").render(content)


def reference_page(schema: GraphQLSchema, links: dict[str, bool]) -> str:
    return _environment.get_template("reference.html").render(reference(schema), **links)


def markdown(text: str) -> Markup:
    """Return the paragraphs of a description as HTML. HTML in the description is escaped."""
    return Markup(_markdown.render(text))


def inline(text: str) -> Markup:
    """Return one line of Markdown as HTML, without a paragraph around it."""
    return Markup(_markdown.renderInline(text))


def linked(type_: GraphQLType) -> Markup:
    """Return a type as in SDL. The name is a link to the type's entry."""
    name = get_named_type(type_).name
    before, _, after = str(type_).partition(name)
    return Markup('{}<a href="#{}">{}</a>{}').format(before, name, name, after)


def default(value: GraphQLArgument | GraphQLInputField) -> str | None:
    """Return the default of an argument or input field as in SDL, or None when there is none."""
    node = get_default_value_ast(value)
    return print_ast(node) if node else None


_environment = Environment(
    loader=FileSystemLoader(PAGES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
_environment.filters |= {"markdown": markdown, "inline": inline, "linked": linked, "default_text": default}
